"""SQLite, PostgreSQL and the static copy find and order the same rows, whatever is asked."""

import os
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from rest_framework.test import APIClient

from learn.filters import CourseFilter
from learn.models import Category, Course, Field
from learn.normalise import normalise
from resilience.tiers.static_copy import building, opened

QUESTIONS = int(os.environ.get("DIFFERENTIAL_QUESTIONS", "300"))
SEED = 20260115

# What databases are known to fold, escape or order each in its own way.
TITLES = [
    "Homer’s Odyssey", "Homer's Odyssey", "“Jazz” – an introduction", "soft\u00adware", "zero\u200bwidth",
    "１２ ﬁelds",
    "a b", "a-c", "ab", "c#", "C++", "C", "c", "Ab", "AB 2", "a_b", "a%b", "100 % sure", "back\\slash",
    "it's", 'say "hi"', "Éléments d'algèbre", "elements", "Élan", "Zoë", "Über uns", "uber", "Ångström",
    "Straße", "strasse", "STRASSE", "İstanbul", "istanbul", "Isparta", "ısparta", "Łódź", "lodz",
    "Smørrebrød", "æther", "œuvre", "Основы химии", "основы физики", "Ёлка", "елка", "Ψυχολογία",
    "ψυχολογια", "Σίσυφος", "機械学習", "机器学习", "学习", "データ", "テータ", "がく", "かく", "한국어",
    "한글", "हिन्दी", "हिन्द", "ภาษาไทย", "اللغة العربية", "עברית", "🎉 party", "🎉", "❤️ care", "❤ care",
    "ﬁnance", "finance", "①", "1", "½ cup", "٣", "Ⅷ", "tab\there", "  spaced   out ", "~tilde", "_under",
    "{brace",
]  # fmt: skip
WORDS = [
    "homer's", "homer’s", '"jazz"', "“jazz”", "–", "software", "soft\u00adware", "zerowidth", "fields",
    "a", "b", "ab", "c#", "c++", "%", "_", "\\", "'", '"', "a_b", "a%b", "00", "elem", "ELEM", "élém",
    "straß", "strass", "ist", "İST", "ısp", "lód", "smor", "хим", "ХИМ", "осн", "елк", "ψυχ", "σισ", "習",
    "学", "学習", "機械学", "タ", "ータ", "か", "が", "한국", "글", "हिन", "ไท", "ภาษ", "العر", "ברי",
    "🎉", "❤", "fin", "ﬁn", "①", "~", "{", "or", "AND", "NEAR", "tab here", "a b", "course", "OR NOT",
    "(", "*", "col:on",
]  # fmt: skip
LEVELS = [None, "Beginner", "beginner", "ADVANCED", "Niveau é", "niveau e", "100", "20", "中級"]
LANGUAGES = [None, "en", "EN", "pt-BR", "zh-Hant", "de", "tr"]


def build_catalogue() -> None:
    """Store the same rows in whatever database is asked; only their primary keys may differ."""
    chance = random.Random(SEED)  # noqa: S311
    start = datetime(2025, 1, 1, tzinfo=UTC)
    categories = [
        Category.objects.create(title=title, published=title != "Entwürfe", created=start, updated=start)
        for title in ("Künste", "Точные науки", "情報", "Entwürfe")
    ]
    fields = [
        Field.objects.create(
            title=f"{title} {n}", category=category, published=n != 2, created=start, updated=start
        )
        for n in range(3)
        for title, category in zip(("Malerei", "Алгебра", "機械学習", "Hidden"), categories, strict=True)
    ]
    for number in range(240):
        title = chance.choice(TITLES)
        moment = start + timedelta(hours=chance.randrange(40))
        Course.objects.create(
            field=chance.choice(fields),
            title=title,
            code=chance.choice([None, f"C-{number}", f"c-{number}", f"c_{number}", f"Ç{number}"])
            or f"~{number}",
            summary=chance.choice([None, *TITLES]),
            description=chance.choice([None, f"Course number {number}: {chance.choice(TITLES)}"]),
            level=chance.choice(LEVELS),
            language=chance.choice(LANGUAGES),
            duration_hours=chance.choice([None, Decimal("0.5"), Decimal(9), Decimal(10), Decimal("100.25")]),
            credits=chance.choice([None, Decimal(0), Decimal("0.25"), Decimal(3), Decimal(12)]),
            terms=chance.choice([[], ["2025-1"], ["秋", "été"]]),
            published=chance.random() > 0.1,
            created=moment,
            updated=moment,
        )


def questions() -> list[str]:
    """Return addresses that combine filters, search, ordering and pages at will."""
    chance = random.Random(SEED + 1)  # noqa: S311
    orderings = [value for value, _ in CourseFilter.base_filters["ordering"].extra["choices"]]
    asked = []
    for _ in range(QUESTIONS):
        query: dict[str, str] = {}
        if chance.random() < 0.25:
            query["category"] = chance.choice(["künste", "точные-науки", "情報", "entwürfe", "nope"])
        if chance.random() < 0.25:
            query["field"] = chance.choice(
                ["malerei-0", "алгебра-1", "機械学習-0", "機械学習-1", "malerei-2"]
            )
        if chance.random() < 0.25:
            query["level"] = chance.choice([level for level in LEVELS if level] + ["unheard of"])
        if chance.random() < 0.25:
            query["language"] = chance.choice([tag for tag in LANGUAGES if tag] + ["fr"])
        if chance.random() < 0.5:
            query["search"] = " ".join(chance.sample(WORDS, chance.choice([1, 1, 1, 2, 3])))
        if chance.random() < 0.8:
            names = chance.sample([name for name in orderings if name[0] != "-"], chance.choice([1, 1, 2, 3]))
            query["ordering"] = ",".join(chance.choice(["", "-"]) + name for name in names)
        if chance.random() < 0.4:
            query["page"] = str(chance.choice([1, 2, 3, 9]))
        if chance.random() < 0.6:
            query["page_size"] = str(chance.choice([1, 3, 20, 50, 100]))
        asked.append("/api/courses?" + urlencode(query))
    for word in WORDS:
        asked.append("/api/courses?" + urlencode({"search": word, "page_size": 100}))
    for ordering in orderings:
        asked.append("/api/courses?" + urlencode({"ordering": ordering, "page_size": 100}))
    for path in ("categories", "fields"):
        for ordering in ("title", "-title", "code", "-updated"):
            asked.append(f"/api/{path}?ordering={ordering}")
    return asked


@pytest.mark.django_db
def test_rows_and_their_order_are_the_same(postgresql: Callable[[], AbstractContextManager[None]]) -> None:
    api = APIClient()
    asked = questions()
    build_catalogue()
    on_sqlite = {url: api.get(url) for url in asked}
    with postgresql():
        build_catalogue()
        on_postgresql = {url: api.get(url) for url in asked}
        building.from_live()
    with opened():
        in_the_file = {url: api.get(url) for url in asked}

    for url in asked:
        ours = on_sqlite[url]
        for theirs in (on_postgresql[url], in_the_file[url]):
            assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content), url
    # The questions are worth asking: most have an answer, and many of them several rows.
    answered = [response.json()["results"] for response in on_sqlite.values() if response.status_code == 200]
    assert len(asked) >= 380
    assert sum(len(rows) > 1 for rows in answered) > 120
    assert {response.status_code for response in on_sqlite.values()} == {200, 404}


@pytest.mark.django_db
@pytest.mark.usefixtures("on_both_databases")
class TestBesidePython:
    def test_search_finds_what_contains_every_word(self) -> None:
        build_catalogue()
        api = APIClient()
        rows = list(Course.objects.public())
        found = 0
        for words in [*WORDS, "course number", "学 習", "a b c"]:
            expected = {
                row.slug for row in rows if all(word in row.search_text for word in normalise(words).split())
            }
            body = api.get("/api/courses", {"search": words, "page_size": "100"}).json()
            assert body["count"] == len(expected), words
            assert {row["slug"] for row in body["results"]} <= expected
            found += bool(expected)
        assert found > 40

    @pytest.mark.parametrize("sign", ["", "-"])
    @pytest.mark.parametrize(
        ("name", "column"),
        [("title", "title_sort"), ("credits", "credits"), ("level", "level_key"), ("code", "code")],
    )
    def test_order_is_by_code_point_with_the_unknown_last(self, name: str, column: str, sign: str) -> None:
        build_catalogue()
        rows = sorted(Course.objects.public(), key=lambda row: row.slug)
        known = [row for row in rows if getattr(row, column) is not None]
        known.sort(key=lambda row: getattr(row, column), reverse=bool(sign))
        unknown = [row for row in rows if getattr(row, column) is None]
        expected = [row.slug for row in known + unknown]
        api = APIClient()
        pages = [
            api.get("/api/courses", {"ordering": sign + name, "page_size": "100", "page": str(page)}).json()[
                "results"
            ]
            for page in range(1, (len(expected) + 99) // 100 + 1)
        ]
        assert [row["slug"] for page in pages for row in page] == expected
