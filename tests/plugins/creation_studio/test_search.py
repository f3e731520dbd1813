"""Search: what is found, in which order, in which language."""

from typing import Any
from uuid import UUID

import pytest

from tests.plugins.creation_studio.factories import GIGS, draft, insert_gigs, publish, walk
from tests.support.platform import Account, TestPlatform

SEARCH = f"{GIGS}/search"


@pytest.fixture
async def provider(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


async def titles(account: Account, words: str, **params: Any) -> list[str]:
    return [item["title"] for item in await walk(account.client, SEARCH, q=words, **params)]


async def test_titles_weigh_more_than_tags_and_tags_more_than_descriptions(provider: Account):
    await publish(provider, title="Posters", description="With a touch of typography. " * 20)
    await publish(provider, title="Leaflets", tags=["typography"], description="")
    await publish(provider, title="Typography for your brand", description="")
    await publish(provider, title="Something else", description="")
    assert await titles(provider, "typography") == ["Typography for your brand", "Leaflets", "Posters"]


async def test_tags_and_categories_are_found_by_their_words(provider: Account):
    await publish(provider, title="First gig", tags=["search-engine-optimisation"], description="")
    await publish(provider, title="Second gig", category="legal-and-finance", description="")
    assert await titles(provider, "search engine") == ["First gig"]
    assert await titles(provider, "finance") == ["Second gig"]


async def test_word_forms_count_as_one_word(provider: Account):
    await publish(provider, title="Designing beautiful logos", description="")
    assert await titles(provider, "beautifully designed logo") == ["Designing beautiful logos"]


async def test_what_people_type_into_search_boxes(provider: Account):
    await publish(provider, title="Red logo for bakeries", description="")
    await publish(provider, title="Logo in red and blue", description="")
    await publish(provider, title="Blue poster", description="")
    assert set(await titles(provider, "logo red")) == {"Red logo for bakeries", "Logo in red and blue"}
    assert await titles(provider, '"red logo"') == ["Red logo for bakeries"]
    assert await titles(provider, "logo -blue") == ["Red logo for bakeries"]
    assert set(await titles(provider, "bakeries or poster")) == {"Red logo for bakeries", "Blue poster"}


@pytest.mark.parametrize(
    "words",
    ["-logo", "   ", "'", '"', "()", "&|!:*<->", "%", "\\", "-", "logo:* & !x", "\U0001f3a8", "or", "-a -b", "a" * 200],
)
async def test_no_words_find_nothing_and_no_syntax_breaks_it(provider: Account, words: str):
    await publish(provider, title="Poster of a cat", description="")
    assert await titles(provider, words) == []


async def test_words_that_a_language_ignores_are_found_alone_but_not_demanded(provider: Account):
    await publish(provider, title="The Who tribute band", description="")
    await publish(provider, title="Tribute evenings", description="")
    assert await titles(provider, "the who") == ["The Who tribute band"]
    assert len(await titles(provider, "the tribute")) == 2


@pytest.mark.parametrize(
    ("language", "title", "words"),
    [
        ("de", "Häuser entwerfen und bauen", "haus entwerfe"),
        ("de", "Straßenplanung", "STRASSENPLANUNG"),
        ("fr", "Créations de logos élégants", "creation elegante"),
        ("es", "Diseñadora de páginas", "disenador pagina"),
        ("ru", "Разработка логотипов", "логотип"),
        ("tr", "İstanbul fotoğraf", "istanbul fotograf"),
        ("it", "Fotografie di matrimoni in città", "fotografia matrimonio citta"),
    ],
)
async def test_each_language_has_its_word_forms(provider: Account, language: str, title: str, words: str):
    await publish(provider, title=title, language=language, description="")
    assert await titles(provider, words, language=language) == [title]


async def test_whole_words_are_found_from_any_language(provider: Account):
    await publish(provider, title="Webentwicklung für Häuser", language="de", description="")
    await publish(provider, title="ロゴ デザイン", language="ja", description="")
    await publish(provider, title="Лого для вас", language="uk", description="")
    assert await titles(provider, "webentwicklung") == ["Webentwicklung für Häuser"]
    assert await titles(provider, "HAUSER", language="fr") == ["Webentwicklung für Häuser"]
    assert await titles(provider, "デザイン") == ["ロゴ デザイン"]
    assert await titles(provider, "ЛОГО") == ["Лого для вас"]


async def test_forms_of_the_same_letters_are_the_same(provider: Account):
    await publish(provider, title="Cafe\u0301 menus", description="")
    await publish(provider, title="\uff37\uff45\uff42 shops", description="")
    assert await titles(provider, "caf\u00e9") == ["Cafe\u0301 menus"]
    assert await titles(provider, "WEB") == ["\uff37\uff45\uff42 shops"]


async def test_only_what_is_published_now_is_found(provider: Account):
    await draft(provider, title="A hidden logo")
    gig = await publish(provider, title="A public logo")
    assert await titles(provider, "logo") == ["A public logo"]
    await provider.client.patch(f"{GIGS}/{gig['id']}", json={"title": "A public poster"}, headers={"If-Match": "*"})
    assert await titles(provider, "poster") == ["A public poster"]
    assert await titles(provider, "logo") == []
    await provider.client.post(f"{GIGS}/{gig['id']}/archive")
    assert await titles(provider, "poster") == []


@pytest.mark.parametrize("limit", [1, 7, 20, 21, 100])
async def test_a_walk_sees_each_match_once_the_best_first(platform: TestPlatform, provider: Account, limit: int):
    same = await insert_gigs(platform, provider, 12, title="Logos")
    longer = await insert_gigs(platform, provider, 8, title="Poster", description="With a logo.")
    await insert_gigs(platform, provider, 5, title="Unrelated")
    found = [UUID(item["id"]) for item in await walk(provider.client, SEARCH, q="logo", limit=limit)]
    assert found == [*sorted(same, reverse=True), *sorted(longer, reverse=True)]


async def test_the_same_words_in_another_tenant_find_its_own(platform: TestPlatform, provider: Account):
    elsewhere = await platform.account(await platform.tenant())
    await publish(provider, title="Our logo")
    await publish(elsewhere, title="Their logo")
    assert await titles(provider, "logo") == ["Our logo"]
    assert await titles(elsewhere, "logo") == ["Their logo"]


async def test_without_a_tenant_the_function_finds_nothing(platform: TestPlatform, provider: Account):
    await publish(provider, title="Our logo")
    async with platform.runtime.database.system_transaction() as connection:
        assert await connection.fetch("SELECT * FROM creation_studio_search_gigs('logo', 'en', NULL, NULL)") == []


@pytest.mark.parametrize(
    "params", [{}, {"q": ""}, {"q": "x" * 201}, {"q": "\x00"}, {"q": "logo", "language": "english"}]
)
async def test_bad_searches_are_400(provider: Account, params: dict[str, str]):
    response = await provider.client.get(SEARCH, params=params)
    assert response.status_code == 400, response.text


async def test_everybody_may_search(platform: TestPlatform, provider: Account):
    await publish(provider, title="Our logo")
    response = await platform.anonymous(provider.tenant_id).get(SEARCH, params={"q": "logo"})
    assert [item["title"] for item in response.json()["items"]] == ["Our logo"]
