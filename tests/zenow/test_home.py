"""The start page leads somewhere, and needs nothing but itself."""

import re

import pytest
from django.test import Client


def test_is_there_without_a_database(client: Client) -> None:
    # Without the mark django_db a query would fail the test.
    response = client.get("/")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.django_db
def test_every_link_leads_to_an_answer(client: Client) -> None:
    page = client.get("/").content.decode()
    links = re.findall(r'<a href="([^"]+)"', page)
    assert {"/api/courses", "/api/docs", "/admin/"} <= set(links)
    for link in links:
        response = client.get(link.replace("&amp;", "&"), follow=True)
        assert response.status_code == 200, link


def test_loads_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/").content.decode()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "@import" not in page


def test_takes_no_other_method(client: Client) -> None:
    assert client.post("/").status_code == 405
    assert client.head("/").status_code == 200


def test_the_admin_is_found_without_a_slash(client: Client) -> None:
    assert client.get("/admin").headers["Location"] == "/admin/"
