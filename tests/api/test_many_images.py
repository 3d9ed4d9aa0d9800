"""A store with very many images: listed, searched and paged as one with few."""
import datetime
import os
import random

import pytest
from contract import Client

COUNT = 10_000  # what the product promises to be no effort
PAGE = 1000     # the largest one


@pytest.fixture(scope="module")
def api():
    from conftest import Trayd
    trayd = Trayd()
    try:
        rng = random.Random(1)
        for folder in range(10):  # as people keep them, in folders
            path = os.path.join(trayd.store, f"folder-{folder}")
            os.mkdir(path)
            for number in range(COUNT // 10):
                with open(f"{path}/image-{folder}{number:03}.iso", "wb") as f:
                    f.truncate(rng.randrange(1 << 20))
        yield Client(trayd.wait_ready().url)
    finally:
        trayd.close()


def pages(api, query=""):
    after, images = "", []
    while True:
        page = api.get(f"/api/v1/images?limit={PAGE}{query}{after}").json()
        images.append(page["images"])
        if page["next"] is None:
            return images
        after = "&after=" + page["next"]


KEYS = {"name": str, "size": int, "modified": datetime.datetime.fromisoformat}


@pytest.mark.parametrize("sort", KEYS)
def test_pages(api, sort):
    found = pages(api, f"&sort=-{sort}")
    assert [len(page) for page in found] == [PAGE] * (COUNT // PAGE)
    images = [image for page in found for image in page]
    assert len({(image["store"], image["name"]) for image in images}) == COUNT
    keys = [KEYS[sort](image[sort]) for image in images]
    assert keys == sorted(keys, reverse=True)


def test_searching(api):
    assert [image["name"] for page in pages(api, "&q=IMAGE-3123") for image in page] == ["image-3123.iso"]
    assert len([image for page in pages(api, "&q=-31") for image in page]) == COUNT // 100
    assert pages(api, "&q=nothing-of-this-name") == [[]]


def test_one_of_them(api):
    image = api.get("/api/v1/images/image-9999.iso?store=main/folder-9").json()
    assert image["complete"] and image["store"] == "main/folder-9"
    assert api.upload("another.iso", b"another")["complete"]
    assert len(pages(api)[0]) == PAGE
    assert api.delete("/api/v1/images/another.iso").status_code == 204
