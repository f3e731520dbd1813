"""A good plugin, and for each rule what breaks it."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ("FILES", "GATES", "IMPORT", "PLATFORM", "PluginCopy")

GOOD = Path(__file__).parents[2] / "contracts" / "thirdparty"
MIGRATION = "migrations/hello_2026_11_24_0001.py"


class PluginCopy:
    """A copy of the third party's plugin, to be spoiled."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "pegboard-hello"
        self.package = self.root / "pegboard_hello"
        shutil.copytree(GOOD, self.root, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a file of the package, or of the project where it begins with `/`."""
        path = self.root / file[1:] if file.startswith("/") else self.package / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new))

    def add(self, file: str, code: str) -> None:
        """Add code at a file's end."""
        with (self.package / file).open("a") as text:
            text.write(f"\n\n{code}\n")

    def remove(self, file: str) -> None:
        """Remove a file or folder of the project."""
        path = self.root / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()


Break = Callable[[PluginCopy], None]


def replacing(file: str, old: str, new: str) -> Break:
    return lambda plugin: plugin.replace(file, old, new)


def adding(file: str, code: str) -> Break:
    return lambda plugin: plugin.add(file, code)


def removing(file: str) -> Break:
    return lambda plugin: plugin.remove(file)


def both(*breaks: Break) -> Break:
    def apply(plugin: PluginCopy) -> None:
        for one in breaks:
            one(plugin)

    return apply


def function(name: str, *body: str, file: str = "service.py", arguments: str = "") -> Break:
    """A documented, annotated async function."""
    lines = "".join(f"    {line}\n" for line in body)
    return adding(file, f'async def {name}({arguments}) -> None:\n    """Added by a test."""\n{lines}')


def rename_migration(plugin: PluginCopy) -> None:
    (plugin.package / MIGRATION).rename(plugin.package / "migrations" / "hello_first.py")


def short_readme(plugin: PluginCopy) -> None:
    (plugin.root / "README.md").write_text("# Hello\n")


def without_license(plugin: PluginCopy) -> None:
    plugin.replace("/pyproject.toml", 'license = "Apache-2.0"\n', "")


def without_default(plugin: PluginCopy) -> None:
    plugin.replace("settings.py", 'congratulation: str = "Congratulations on your new gig!"', "congratulation: str")
    with (plugin.root / "pyproject.toml").open("a") as text:
        text.write('\n[tool.pegboard.check.settings]\ncongratulation = "Well done!"\n')


GATES: Mapping[str, Break] = {
    "manifest.valid": replacing("plugin.toml", 'name = "hello"', 'name = "hello"\ncolour = "red"'),
    "code.parses": adding("errors.py", "def ("),
    "loading.imports": adding("plugin.py", 'raise RuntimeError("not today")'),
    "loading.manifest_kept": replacing("plugin.toml", '"hello:greeting.send" = "greet others"\n', ""),
    "platform.starts": replacing(
        "lifecycle.py", '    """Before the first request."""\n', '    raise OSError("no paper")\n'
    ),
}
"""Rules without which nothing further is judged."""

FILES: Mapping[str, Break] = {
    "manifest.version": both(
        replacing("plugin.toml", 'version = "1.0.0"', 'version = "1.0.1"'),
        replacing("/CHANGELOG.md", "## 1.0.0", "## 1.0.1"),
    ),
    "manifest.sdk_range": replacing("plugin.toml", 'sdk = ">=1,<2"', 'sdk = ">=1"'),
    "manifest.dependency_ranges": replacing("plugin.toml", '">=0.1,<1"', '">=0.1"'),
    "boundaries.kernel": function("peek", "from pegboard.paths import config_path", "print(config_path)"),
    "boundaries.plugins": function("borrow", 'importlib.import_module("pegboard_finance.service")', "import importlib"),
    "boundaries.database": function("reach", "await uow.connection.close()", arguments="uow: UnitOfWork"),
    "boundaries.dependencies": function("parse", "import yaml", "print(yaml)"),
    "boundaries.network": function("call", "from urllib import request", "print(request)"),
    "boundaries.processes": function("run", "import subprocess", "print(subprocess)"),
    "code.quiet_import": adding("permissions.py", 'import os\nHOME = os.environ["HOME"]'),
    "code.no_blocking": function("wait", "from time import sleep as nap", "nap(1)"),
    "code.no_swallowing": function("drop", "try:", "    print()", "except Exception:", "    pass"),
    "sql.no_transactions": function("end", 'await uow.execute("COMMIT")', arguments="uow: UnitOfWork"),
    "sql.parameters": function(
        "find",
        "await uow.fetch(f\"SELECT id FROM hello_greetings WHERE text = '{text}'\")",
        arguments="uow: UnitOfWork, text: str",
    ),
    "migrations.present": removing("pegboard_hello/migrations"),
    "migrations.named": rename_migration,
    "migrations.backwards": replacing(MIGRATION, 'backwards=("DROP TABLE hello_greetings",)', "backwards=()"),
    "tables.foreign_keys": replacing(MIGRATION, " ON DELETE CASCADE", ""),
    "capabilities.declared": function("read", 'await uow.secret("hello.key")', arguments="uow: UnitOfWork"),
    "capabilities.least": replacing("plugin.toml", "[capabilities]", '[capabilities]\nsecrets = ["hello.unused"]'),
    "documentation.readme": short_readme,
    "documentation.events": replacing("plugin.toml", '"A greeting reached whom it was for."', '"Delivered."'),
    "documentation.changelog": removing("CHANGELOG.md"),
    "documentation.docstrings": adding("service.py", "def unexplained() -> None:\n    print()"),
    "packaging.wheel": replacing(
        "/pyproject.toml", 'packages = ["pegboard_hello"]', 'packages = ["pegboard_hello"]\nexclude = ["migrations"]'
    ),
    "packaging.licence": without_license,
    "packaging.tests": removing("tests"),
    "packaging.pipeline": removing(".github"),
    "packaging.typed": removing("pegboard_hello/py.typed"),
    "packaging.annotated": adding("service.py", 'def whatever(it):\n    """Added by a test."""\n    return it'),
}
"""Rules on files."""

IMPORT: Mapping[str, Break] = {
    "tables.columns": replacing(
        "tables.py", "    created_at = Timestamptz(null=False, default=TimestamptzNow())\n", ""
    ),
    "tables.brought": replacing("plugin.toml", '["hello_greetings"]', '["hello_greetings", "hello_cards"]'),
    "permissions.used": both(
        replacing("plugin.toml", "[permissions]", '[permissions]\n"hello:greeting.burn" = "burn greetings"'),
        replacing(
            "permissions.py", "PERMISSIONS = (", 'PERMISSIONS = (\n    Permission("hello:greeting.burn", "burn"),'
        ),
        replacing("/README.md", "`hello:greeting.read`", "`hello:greeting.burn`, `hello:greeting.read`"),
    ),
    "settings.documented": both(
        adding("settings.py", '    tone: str = "warm"'),
        replacing("/README.md", "`congratulation`:", "`tone`, `congratulation`:"),
    ),
    "settings.hidden": both(
        replacing("settings.py", "is told.", "is told. `api_key` is nobody's business."),
        adding("settings.py", '    api_key: str = ""'),
        replacing("/README.md", "`congratulation`:", "`api_key`, `congratulation`:"),
    ),
    "settings.defaults": without_default,
    "jobs.bounded": replacing("jobs.py", "run=deliver_greeting", "run=deliver_greeting, max_attempts=100"),
    "jobs.described": replacing(
        "jobs.py", '    """Deliver a greeting. Doing it twice changes nothing: jobs run at least once."""\n', ""
    ),
    "jobs.frozen": replacing("jobs.py", "Delivery(msgspec.Struct, frozen=True)", "Delivery(msgspec.Struct)"),
    "routes.described": replacing("controllers.py", '        """Greet somebody."""\n', ""),
    "routes.typed": replacing("controllers.py", "uow: UnitOfWork) -> Greeting:", "uow: UnitOfWork) -> dict:"),
    "health.present": both(
        replacing("plugin.toml", "[capabilities]", '[capabilities]\noutbound_hosts = ["api.example.com"]'),
        replacing("plugin.py", "return (lifecycle.words_check(context.settings(Settings)),)", "return ()"),
    ),
    "documentation.complete": replacing("/README.md", "`hello.deliver_greeting`", "one"),
}
"""Rules on what is brought."""

PLATFORM: Mapping[str, Break] = {
    "tables.updated_at": both(
        replacing("tables.py", "    updated_at = Timestamptz(null=False, default=TimestamptzNow())\n", ""),
        replacing(MIGRATION, "    updated_at timestamptz NOT NULL DEFAULT now(),\n", ""),
    ),
    "tables.drift": replacing("tables.py", "text = Text(null=False", "text = Text(null=True"),
    "migrations.there_and_back": replacing(
        MIGRATION, "forwards=(GREETINGS,", "forwards=(\"CREATE TYPE hello_mood AS ENUM ('good')\", GREETINGS,"
    ),
    "tenancy.protected": replacing(
        MIGRATION, "forwards=(", 'forwards=("CREATE TABLE hello_notes (tenant_id uuid NOT NULL)", '
    ),
    "tenancy.rows": replacing(
        MIGRATION,
        'privileges="SELECT, INSERT, UPDATE")',
        'privileges="SELECT, INSERT, UPDATE"), "CREATE POLICY open ON hello_greetings USING (true)"',
    ),
    "tenancy.all_tried": both(
        adding(
            "tables.py",
            'class HelloCard(Table, tablename="hello_cards"):\n    """Cards."""\n\n'
            "    id = UUID(primary_key=True, default=None)\n    tenant_id = UUID(null=False, default=None)\n"
            "    word = Text(null=False, default=None)\n"
            "    created_at = Timestamptz(null=False, default=TimestamptzNow())\n\n\n"
            "TABLES = (HelloGreeting, HelloCard)",
        ),
        replacing("plugin.toml", '"hello_greetings"]', '"hello_greetings", "hello_cards"]'),
        replacing(
            MIGRATION,
            "forwards=(",
            'forwards=("CREATE TABLE hello_cards (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, word text NOT NULL'
            " CHECK (word ~ '^zyx[0-9]{7}$'), created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (tenant_id, id))\","
            ' protect_table("hello_cards", privileges="SELECT, INSERT"), ',
        ),
        replacing(MIGRATION, "backwards=(", 'backwards=("DROP TABLE hello_cards", '),
    ),
    "permissions.enforced": replacing(
        "permissions.py",
        'RoleGrant("member", (READ, SEND)),',
        'RoleGrant("member", (READ,)), RoleGrant("anonymous", (SEND,)),',
    ),
    "audit.privileged": both(
        replacing(
            "controllers.py",
            "    @post(permission=SEND, errors",
            '    @post("/prune", permission="hello:greeting.prune")\n'
            '    async def prune_greetings(self, uow: UnitOfWork) -> None:\n        """Prune."""\n\n'
            "    @post(permission=SEND, errors",
        ),
        replacing("permissions.py", "GRANTS = (", 'GRANTS = (RoleGrant("administrator", ("hello:greeting.prune",)), '),
        replacing("permissions.py", "PERMISSIONS = (", 'PERMISSIONS = (Permission("hello:greeting.prune", "prune"), '),
        replacing("plugin.toml", "[permissions]", '[permissions]\n"hello:greeting.prune" = "prune"'),
    ),
    "routes.answer": replacing(
        "controllers.py", "return await GreetingService(uow).send(data)", 'raise ValueError("oh")'
    ),
    "code.free_loop": replacing("jobs.py", "    row = await", '    __import__("time").sleep(0.6)\n    row = await'),
    "jobs.twice": replacing(
        "jobs.py",
        "    row = await",
        '    await GreetingRepository(uow).insert(uow.tenant_id, None, "again")\n    row = await',
    ),
}
"""Rules on a running platform."""
