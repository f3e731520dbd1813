"""Judges a plugin's SQL: its own tables, no change of the transaction, nothing that hides further SQL in a string."""

import re
from collections.abc import Collection, Mapping

from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.manifest import Manifest

from pegboard.capabilities.lexer import UnreadableSql, Word, words
from pegboard.capabilities.naming import Naming, naming

__all__ = ("Statements", "owners_of_tables")

MAX_TEXTS = 2_048
"""Texts of one plugin that are remembered as good. A plugin that makes texts up as it goes starts over there."""

_VERBS = frozenset({"select", "insert", "update", "delete", "merge", "with", "values", "table", "lock"})
_SCHEMAS = frozenset({"public"})
_CATALOGS = frozenset({"information_schema"})

# They run SQL that they are given as a string, change a setting, or reach out of the database.
_FUNCTIONS = re.compile(
    r"^(set_config|(query|table|schema|database|cursor)_to_xml(schema|_and_xmlschema)?|ts_stat|ts_rewrite|pg_notify"
    r"|dblink\w*|lo_import|lo_export|pg_read_\w+|pg_ls_\w+|pg_terminate_backend|pg_cancel_backend|pg_reload_conf)$"
)
_HINT = "use the service of its plugin or handle its events"


def owners_of_tables(manifests: Collection[Manifest]) -> dict[str, str]:
    """Which plugin owns which table, also of those that are installed and off."""
    return {table: manifest.name for manifest in manifests for table in manifest.capabilities.tables}


class Statements:
    """What one plugin may say to the database. `plugins` are the names of all that are installed."""

    def __init__(self, manifest: Manifest, owners: Mapping[str, str], plugins: Collection[str]) -> None:
        self._plugin = manifest.name
        self._own = frozenset(manifest.capabilities.tables)
        self._owners = owners
        # The longest first: `creation_studio_…` is not `creation`'s.
        self._prefixes = tuple(sorted((f"{name}_" for name in {*plugins, "kernel", manifest.name}), key=len)[::-1])
        self.good: set[str] = set()
        """Texts that were judged and found good: look here first, it is all that a repeated statement costs."""

    def check(self, sql: str) -> None:
        """Judge a text.

        Raises:
            CapabilityDenied: it names what is not the plugin's, or does what only the kernel may.
        """
        try:
            self._check(list(words(sql)))
        except UnreadableSql as error:
            raise self._denied("sql", f"its SQL can't be read: {error}") from error
        if len(self.good) >= MAX_TEXTS:
            self.good.clear()
        self.good.add(sql)

    def _check(self, found: list[Word]) -> None:
        first = True
        for word in found:
            if first and word.text not in (";", "("):
                if not word.name or word.quoted or word.text not in _VERBS:
                    raise self._denied(
                        "sql",
                        f"it runs {word.text.upper()}: units of work read and write rows, transactions are the kernel's"
                        " (`uow.savepoint()` for a part), and tables change in migrations",
                    )
                first = False
            if word.text == ";" and not word.name:
                first = True
        names = naming(found)
        for place, word in enumerate(found):
            if word.name and place not in names.expressions:
                self._check_name(found, place, names)

    def _check_name(self, found: list[Word], place: int, names: Naming) -> None:
        name = found[place].text
        called = place + 1 < len(found) and found[place + 1].text == "(" and not found[place + 1].name
        table = place in names.tables
        if place and found[place - 1].text == "." and not (called or table):
            # After a dot it is a column, unless what is before is a schema.
            if place < 2 or found[place - 2].text not in _SCHEMAS:
                return
            table = True
        if name in self._own:
            return
        # Tables that are known by name are refused wherever the name stands, and so is what begins with kernel_: that
        # holds also where the reading of the statement is wrong.
        owner = self._owners.get(name)
        if owner is not None:
            raise self._denied(
                name,
                f"its SQL names the table {name} of the plugin {owner}: {_HINT}. (Tables of its own are those that"
                " capabilities.tables in plugin.toml lists; write a column of that name with its table's alias.)",
            )
        if name in _CATALOGS or (name.startswith("pg_") and not called):
            raise self._denied(name, f"its SQL reads PostgreSQL's own {name}: plugins have their tables only")
        if called and _FUNCTIONS.match(name):
            raise self._denied(name, f"its SQL calls {name}, which gets around what the kernel checks")
        prefix = next((one for one in self._prefixes if name.startswith(one)), "")
        if prefix == "kernel_" or (name == "migration" and table):
            raise self._denied(
                name,
                f"its SQL names {name} of the kernel: use the unit of work (`emit`, `enqueue`, `audit`, `secret`) or"
                " a service of the kernel, such as Taxonomies or AuditLog",
            )
        if prefix and prefix != f"{self._plugin}_" and (called or table):
            other = prefix.removesuffix("_")
            raise self._denied(name, f"its SQL names {name}, which is the plugin {other}'s by its prefix: {_HINT}")

    def _denied(self, what: str, why: str) -> CapabilityDenied:
        return CapabilityDenied(self._plugin, "table", what, why)
