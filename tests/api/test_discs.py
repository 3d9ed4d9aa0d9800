"""Discs made of files: what goes in comes out, by other people's tools; and archives that nobody should trust."""
import hashlib
import io
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import zipfile

import pytest
from contract import ROOT, Client, check_problem, until
from tus import Tus, hidden, sha256

IMAGES = "/api/v1/images"
KINDS = ["iso9660", "fat32"]
MIB = 1 << 20
LONG = "x" * 251 + ".txt"

FILES = {
    "README.TXT": b"hello\n",
    "readme-too.txt": b"small letters\n",
    "empty": b"",
    "folder/a/b/c/d/e/f/g/h/i/deep.txt": b"deep",
    "folder/big.bin": random.Random(1).randbytes(3 * MIB + 5),
    "folder/Gr\u00fc\u00dfe, \u0416\u6f22.text": b"letters",
    "folder/exactly.bin": bytes(4096),
    LONG: b"a name of 255 bytes",
    LONG[1:]: b"and one that is like it",
    **{f"many/a-file-with-a-number-{i:04}.dat": str(i).encode() for i in range(700)},
}


def zipped(files=FILES, how=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as z:
        for name, data in files.items():
            z.writestr(name, data)
    return out.getvalue()


def make(api, name, data, kind="iso9660", status=201, headers=None, **query):
    answer = api.put(f"{IMAGES}/{name}", params={"make": kind, **query}, data=data, headers=headers)
    assert answer.status_code == status, answer.text
    if status >= 400:
        check_problem(answer)
    return answer.json()


def names(api):
    return [image["name"] for image in api.get(IMAGES).json()["images"]]


def leftovers(trayd):
    """Hidden files but for the records, which tell for a while how an upload ended."""
    return [name for name in hidden(trayd) if not name.endswith(".json")]


def unpack(trayd, name, kind, folder):
    """What is on the disc, by xorriso (Rock Ridge) or mtools."""
    image = os.path.join(trayd.store, name)
    command = ["xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", folder] if kind == "iso9660" else \
        ["mcopy", "-s", "-n", "-m", "-i", image, "::/", folder]
    os.makedirs(folder, exist_ok=True)
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8", "MTOOLS_SKIP_CHECK": "1"})
    root = pathlib.Path(folder)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# ---- what goes in comes out ----

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bit_for_bit(trayd, api, tmp_path, kind, how):
    image = make(api, "disc.img", zipped(how=how), kind, label="MY-FILES")
    assert image["complete"] and image["label"] == "MY-FILES" and image["sha256"]
    assert image["suggested_type"] == ("cdrom" if kind == "iso9660" else "disk")
    assert sha256(api.get(f"{IMAGES}/disc.img/content").content) == image["sha256"]
    files = {name: data for name, data in FILES.items() if kind == "iso9660" or not name.startswith("folder/Gr")}
    found = unpack(trayd, "disc.img", kind, str(tmp_path / "out"))
    assert {name: found.get(name) for name in files} == files and len(found) == len(FILES)
    assert leftovers(trayd) == []


def test_joliet_and_the_short_names(trayd, api):
    make(api, "disc.iso", zipped())
    image = os.path.join(trayd.store, "disc.iso")

    def names_by(*options):
        out = subprocess.run(["isoinfo", "-f", *options, "-i", image], check=True, capture_output=True,
                             env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout.decode(errors="replace")
        return sorted(line.removesuffix(";1").removeprefix("/") for line in out.splitlines())
    folders = {str(p) for name in FILES for p in pathlib.PurePosixPath(name).parents} - {"."}
    joliet = names_by("-J")
    assert len(joliet) == len(FILES) + len(folders)
    assert set(joliet) >= {n for n in FILES if not n.startswith(("x", "folder/Gr"))} | folders
    cut = [n for n in joliet if n.startswith("x")]
    assert len(cut) == 2 and all(len(n) == 103 and n.endswith(".txt") for n in cut)
    short = names_by()
    assert len(set(short)) == len(joliet) and "README.TXT" in short and "EMPTY." in short
    assert all(len(part) <= 12 and part.upper() == part and part.isascii() for n in short for part in n.split("/"))
    assert names_by("-R") == sorted(set(FILES) | folders)


def test_the_file_system_is_in_order(trayd, api):
    make(api, "stick.img", zipped(), "fat32")
    check = subprocess.run(["fsck.fat", "-n", "-V", os.path.join(trayd.store, "stick.img")], capture_output=True, text=True)
    assert check.returncode == 0 and f"{len(FILES) + 12} files" in check.stdout, check.stdout


def test_names_and_labels(api):
    data = zipped({"a": b"a"})
    assert make(api, "drivers.zip", data)["name"] == "drivers.iso"
    assert make(api, "drivers.zip", data, "fat32")["name"] == "drivers.img"
    assert make(api, "tools.iso.zip", data)["name"] == "tools.iso"
    assert make(api, "plain", data)["name"] == "plain"
    assert make(api, "l.iso", data, label="My files 1")["label"] == "My files 1"
    assert make(api, "m.img", data, "fat32", label="my files")["label"] == "MY FILES"
    for bad in ({"label": "x" * 17}, {"label": "a/b"}, {"label": "\u00e4"}, {"unpack": "true"}):
        assert make(api, "bad.iso", data, status=400, **bad)["code"] == "bad_request"
    assert make(api, "bad.img", data, "fat32", status=400, label="x" * 12)["code"] == "bad_request"
    assert make(api, "bad.iso", data, "ext4", status=400)["code"] == "bad_request"
    assert make(api, "bad.iso", iter([data]), status=411)["code"] == "length_required"
    assert make(api, "plain", data, status=409)["code"] == "exists"
    assert make(api, "bad.iso", data, status=422, sha256="0" * 64)["code"] == "digest_mismatch"
    assert make(api, "good.iso", data, sha256=sha256(data))["complete"]
    assert "bad.iso" not in names(api)
    answer = api.post(IMAGES, json={"from": "files", "name": "a"})
    assert answer.status_code == 400 and "make=iso9660" in answer.json()["detail"]


def test_who_does_not_wait(api):
    transfer = make(api, "disc.iso", zipped(), status=202, headers={"Prefer": "respond-async"})
    assert transfer["kind"] == "conversion"
    path = "/api/v1/transfers/" + transfer["id"]
    until(lambda: api.get(path).json()["state"] == "done", "it is made")
    assert api.get(path).json()["result"]["name"] == "disc.iso"


# ---- archives that nobody should trust ----

def entry(name, data=b"x", external=0, **fields):
    info = zipfile.ZipInfo()
    info.filename, info.orig_filename = name, name
    info.external_attr = external
    info.create_system = 3
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def archive(*entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for info, data in entries:
            z.writestr(info, data)
    return out.getvalue()


def renamed(data, was, now):
    assert len(was) == len(now) and data.count(was) == 2
    return data.replace(was, now)


def flagged(data, bit):
    """Sets a bit of the flags of the first file, in both places."""
    out = bytearray(data)
    for at in (6, data.index(b"PK\x01\x02") + 8):
        out[at] |= bit
    return bytes(out)


def lying(size):
    """The directory promises another size."""
    data = bytearray(zipped({"a.bin": b"z" * 1000}))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, size)
    struct.pack_into("<I", data, 22, size)
    return bytes(data)


HOSTILE = {  # both kinds: code, and words of the detail
    "leads out": (archive(entry("../../etc/passwd")), "files_unusable", "leads out"),
    "leads out later": (archive(entry("a/../../b")), "files_unusable", "leads out"),
    "absolute": (archive(entry("/etc/passwd")), "files_unusable", "absolute"),
    "backslashes": (renamed(archive(entry("a/b?c\\d")), b"a/b?c\\d", b"a/b\\c\\d"), "files_unusable", "backslash"),
    "control character": (archive(entry("a\nb")), "files_unusable", '"a?b"'),
    "empty name": (archive(entry("a//b")), "files_unusable", "empty name"),
    "twice": (archive(entry("same"), entry("same")), "files_unusable", '"same" is there twice'),
    "file and folder": (archive(entry("a"), entry("a/b")), "files_unusable", "a file itself"),
    "symbolic link": (archive(entry("link", b"/etc/passwd", 0o120777 << 16)), "files_unusable", '"link" is a symbolic link'),
    "device": (archive(entry("null", b"", 0o020666 << 16)), "files_unusable", "neither a file nor a folder"),
    "not UTF-8": (renamed(archive(entry("GRxSSE")), b"GRxSSE", b"GR\xdcSSE"), "files_unusable", "UTF-8"),
    "encrypted": (flagged(archive(entry("secret")), 1), "files_unusable", '"secret" needs a password'),
    "a long name": (archive(entry("y" * 256)), "files_unusable", "255 bytes"),
    "deep": (archive(entry("d/" * 70 + "f")), "files_unusable", "too deep"),
    "nothing": (archive(), "archive_unusable", ""),
    "only a folder is fine": (archive(entry("folder/", b"")), None, ""),
    "no archive": (b"this is no archive " * 1000, "archive_unusable", "no ZIP archive"),
    "too small": (lying(999), "archive_unusable", "a.bin"),
    "too large": (lying(1001), "archive_unusable", "a.bin"),
    "cut short": (zipped()[:-30000], "archive_unusable", ""),
    "damaged": (zipped().replace(FILES["README.TXT"], b"hullo\n"), None, ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_archives(trayd, api, kind):
    stored = zipped({"one.txt": b"hello world " * 1000}, zipfile.ZIP_STORED)
    cases = {**HOSTILE, "a byte that flipped": (stored.replace(b"world", b"wurld", 1), "archive_unusable", '"one.txt"')}
    for what, (data, code, words) in cases.items():
        answer = api.put(f"{IMAGES}/x.img", params={"make": kind}, data=data)
        if code is None:
            assert answer.status_code == 201, (what, answer.text)
            assert api.delete(f"{IMAGES}/x.img").status_code == 204
            continue
        assert answer.status_code == 422, (what, answer.text)
        check_problem(answer)
        assert answer.json()["code"] == code and words in answer.json()["detail"], (what, answer.text)
        assert answer.json()["transfer"] and names(api) == [] and leftovers(trayd) == [], what


FAT_ONLY = {
    "README.txt and readme.TXT": (["README.txt", "readme.TXT"], "small letters"),
    "\u00c4 and \u00e4": (["\u00c4.txt", "\u00e4.txt"], "small letters"),
    "a colon": (["a:b"], "does not have in names"),
    "a dot at the end": (["folder./a"], "dot or blank"),
    "a device": (["docs/aux.h"], '"docs/aux.h" is called like a device'),
}


def test_what_fat_cannot_hold(trayd, api, tmp_path):
    for what, (files, words) in FAT_ONLY.items():
        data = zipped({name: name.encode() for name in files})
        problem = make(api, "x.img", data, "fat32", 422)
        assert problem["code"] == "files_unusable" and words in problem["detail"], (what, problem)
        make(api, "x.iso", data)
        found = unpack(trayd, "x.iso", "iso9660", str(tmp_path / hashlib.md5(what.encode()).hexdigest()))
        assert found == {name: name.encode() for name in files}
        assert api.delete(f"{IMAGES}/x.iso").status_code == 204
    problem = make(api, "x.iso", zipped({"a:b": b"1", "a?b": b"2"}), status=422)
    assert "Joliet" in problem["detail"]


def test_bombs(start_trayd):
    trayd = start_trayd(more='fetch = { largest = "64 MiB"; };').wait_ready()
    api = Client(trayd.url)
    problem = make(api, "x.iso", zipped({"zeros": bytes(65 * MIB)}), status=413)
    assert problem["code"] == "too_large" and "fetch.largest" in problem["detail"]
    many = zipped({f"{i}": b"" for i in range(100_001)}, zipfile.ZIP_STORED)
    for kind in KINDS:
        problem = make(api, "x.iso", many, kind, status=422)
        assert problem["code"] == "files_unusable" and "100000" in problem["detail"]
    assert names(api) == [] and hidden(trayd) == []


def test_as_many_as_are_allowed(trayd, api):
    image = make(api, "many.iso", zipped({f"{i // 1000}/a file with a name {i}": b"" for i in range(99_900)}, zipfile.ZIP_STORED))
    out = subprocess.run(["isoinfo", "-f", "-R", "-i", os.path.join(trayd.store, "many.iso")], capture_output=True, check=True)
    assert image["complete"] and out.stdout.count(b"a file with a name") == 99_900


def test_room_for_both(start_trayd, tmp_path_factory):
    trayd = start_trayd().wait_ready()
    api = Client(trayd.url)
    free = os.statvfs(trayd.store).f_bavail * os.statvfs(trayd.store).f_frsize
    tus = Tus(api, "a.img.xz", free * 2 // 3, status=507)
    assert tus.created.json()["code"] == "no_space" and "twice" in tus.created.json()["detail"]
    assert hidden(trayd) == []


# ---- by tus ----

def state(api, tus):
    return api.get("/api/v1/transfers/" + tus.id).json()


def done(api, tus):
    until(lambda: state(api, tus)["state"] not in ("running", "paused"), "it has ended", 120)
    return state(api, tus)


def packed(data):
    return subprocess.run(["gzip", "-c"], input=data, capture_output=True, check=True).stdout


def test_tus_unpacks(trayd, api):
    image = FILES["folder/big.bin"]
    data = packed(image)
    tus = Tus(api, "stick.img.gz", len(data), sha256=sha256(data))
    assert api.get(f"{IMAGES}/stick.img").json()["complete"] is False
    assert tus.piece(0, data[:MIB]).headers["Upload-Offset"] == str(MIB) == str(tus.offset())
    assert tus.piece(MIB, data[MIB:]).headers["Upload-Offset"] == str(len(data))
    transfer = done(api, tus)
    assert transfer["state"] == "done" and transfer["kind"] == "conversion", transfer
    assert transfer["result"]["sha256"] == sha256(image)
    assert transfer["result"]["unpacked"] == {"format": "gzip", "size": len(data), "sha256": sha256(data)}
    assert api.get(f"{IMAGES}/stick.img/content").content == image
    assert tus.offset() == len(data), "who missed the answer can still ask"
    assert tus.delete() and hidden(trayd) == []


def test_tus_as_it_is(api):
    data = packed(b"x" * 5000)
    for name, more in (("a.img.gz", {"unpack": "false"}), ("b.tar.gz", {})):
        Tus(api, name, len(data), body=data, **more)
        assert api.get(f"{IMAGES}/{name}/content").content == data
    tus = Tus(api, "named.img", len(data), body=data, unpack="true")
    assert done(api, tus)["result"]["size"] == 5000
    for bad in ({"unpack": "yes"}, {"make": "ext4"}, {"make": "iso9660", "unpack": "true"}, {"label": "x"}):
        assert Tus(api, "bad.iso", 5, status=400, **bad).created.json()["code"] == "bad_request"


def test_tus_what_cannot_be_unpacked(trayd, api):
    data = packed(FILES["folder/big.bin"])[:-1000]
    tus = Tus(api, "a.img.gz", len(data), body=data)
    transfer = done(api, tus)
    assert transfer["state"] == "failed" and transfer["code"] == "archive_unusable", transfer
    assert names(api) == [] and hidden(trayd) == []
    tus.head(404)


def test_tus_makes_a_disc(trayd, api, tmp_path):
    data = zipped()
    tus = Tus(api, "files.zip", len(data), make="iso9660", label="BY TUS")
    tus.piece(0, data)
    image = done(api, tus)["result"]
    assert image["name"] == "files.iso" and image["label"] == "BY TUS"
    assert unpack(trayd, "files.iso", "iso9660", str(tmp_path)) == FILES


def helper_of(trayd):
    found = subprocess.run(["pgrep", "-P", str(trayd.process.pid), "trayd-helper"], capture_output=True, text=True)
    return int(found.stdout.split()[0]) if found.stdout else None


def stopped_helper(trayd):
    """The helper at its work, which goes no further."""
    until(lambda: helper_of(trayd), "it is at work")
    pid = helper_of(trayd)
    os.kill(pid, signal.SIGSTOP)
    return pid


HALF = zipped({"zeros.bin": bytes(128 * MIB), "a.txt": b"the end"})  # takes long enough to be caught


@pytest.mark.parametrize("how", ["kill", "term"])
def test_an_end_of_the_service_in_the_middle(trayd, api, tmp_path, how):
    tus = Tus(api, "half.iso", len(HALF), make="iso9660", body=HALF)
    stopped_helper(trayd)
    assert state(api, tus)["kind"] == "conversion" and tus.offset() == len(HALF)
    trayd.stop(*((signal.SIGKILL, -signal.SIGKILL) if how == "kill" else ()))
    assert not os.path.exists(os.path.join(trayd.store, "half.iso"))
    trayd.start().wait_ready()
    again = Client(trayd.url)
    transfer = done(again, tus)
    assert transfer["state"] == "done" and transfer["kind"] == "conversion", transfer
    found = unpack(trayd, "half.iso", "iso9660", str(tmp_path))
    assert found["a.txt"] == b"the end" and len(found["zeros.bin"]) == 128 * MIB and not found["zeros.bin"].strip(b"\0")
    assert leftovers(trayd) == []


def test_put_is_made_after_a_kill_as_well(trayd, api):
    make(api, "half.iso", HALF, status=202, headers={"Prefer": "respond-async"})
    stopped_helper(trayd)
    trayd.stop(signal.SIGKILL, -signal.SIGKILL)
    trayd.start().wait_ready()
    again = Client(trayd.url)
    until(lambda: again.get(f"{IMAGES}/half.iso").json()["complete"], "it is made", 120)


def test_killed_between_the_name_and_the_end(trayd, api):
    """The image has its name, and the packed bytes are still there: the same image is made again, and that is all."""
    tus = Tus(api, "half.iso", len(HALF), make="iso9660", body=HALF)
    pid = stopped_helper(trayd)
    folder = os.path.join(trayd.store, ".trayd")
    kept = {n: pathlib.Path(folder, n).read_bytes() for n in hidden(trayd) if n.startswith("partial-")}
    os.kill(pid, signal.SIGCONT)
    first = done(api, tus)["result"]
    trayd.stop()
    owner = os.stat(trayd.store + "/half.iso")
    for name, data in kept.items():
        path = pathlib.Path(folder, name)
        path.write_bytes(data)
        os.chown(path, owner.st_uid, owner.st_gid)
    trayd.start().wait_ready()
    again = Client(trayd.url)
    transfer = done(again, tus)
    assert transfer["state"] == "done" and transfer["result"]["etag"] == first["etag"], transfer


def test_cancelled(trayd, api):
    tus = Tus(api, "half.iso", len(HALF), make="iso9660", body=HALF)
    pid = stopped_helper(trayd)
    assert api.delete("/api/v1/transfers/" + tus.id).status_code == 200
    assert done(api, tus)["state"] == "cancelled"
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the helper is gone")
    assert names(api) == [] and hidden(trayd) == []
    tus = Tus(api, "half.iso", len(HALF), make="iso9660", body=HALF)
    stopped_helper(trayd)
    tus.delete()
    assert names(api) == [] and hidden(trayd) == []


def resident(trayd):
    status = pathlib.Path(f"/proc/{trayd.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_memory(start_trayd, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "quarantine_size_mb=0:thread_local_quarantine_size_kb=0")  # freed is freed
    trayd = start_trayd().wait_ready()
    api = Client(trayd.url)
    make(api, "warm.iso", zipped({"a": b"a"}))
    before = resident(trayd)
    make(api, "big.iso", HALF)
    make(api, "many.iso", zipped({f"a file with a name {i}": b"" for i in range(20_000)}, zipfile.ZIP_STORED))
    assert resident(trayd) - before < 4 * MIB, "as much for 128 MiB and 20 000 names as for one"


# ---- what is on a disc ----

def files(api, name, status=200, **query):
    answer = api.get(f"{IMAGES}/{name}/files", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def listed(api, name, **query):
    return {f["name"]: (f["type"], f["size"]) for f in files(api, name, **query)["files"]}


def test_what_is_on_a_disc(api):
    make(api, "disc.iso", zipped())
    root = listed(api, "disc.iso")
    assert root == {"README.TXT": ("file", 6), "readme-too.txt": ("file", 14), "empty": ("file", 0), LONG: ("file", 19),
                    LONG[1:]: ("file", 23), "folder": ("folder", None), "many": ("folder", None)}
    assert listed(api, "disc.iso", path="/folder/a/b/c/d/e/f/g/h/i/") == {"deep.txt": ("file", 4)}
    assert "Gr\u00fc\u00dfe, \u0416\u6f22.text" in listed(api, "disc.iso", path="folder")
    pages, after = [], {}
    while True:
        page = files(api, "disc.iso", path="many", limit=300, **after)
        pages.append([f["name"] for f in page["files"]])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert [len(p) for p in pages] == [300, 300, 100]
    assert sum(pages, []) == sorted(n.split("/")[1] for n in FILES if n.startswith("many/"))
    assert files(api, "disc.iso", 404, path="nowhere")["code"] == "not_found"
    assert files(api, "disc.iso", 404, path="README.TXT/x")["code"] == "not_found"
    for bad in ({"path": "a//b"}, {"limit": "0"}, {"limit": "1001"}):
        assert files(api, "disc.iso", 400, **bad)["code"] == "bad_request"
    assert files(api, "other.iso", 404)["code"] == "image_missing"


def tool_made(folder, *command):
    source = pathlib.Path(folder) / "source"
    (source / "docs").mkdir(parents=True)
    (source / "docs" / "A name, in \u00c4 and \u00e9.txt").write_bytes(b"12345")
    (source / "x").write_bytes(b"1")
    (source / "link").symlink_to("x")
    image = pathlib.Path(folder) / "made.iso"
    subprocess.run([*command, str(image), str(source)], check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return image.read_bytes()


@pytest.mark.parametrize("options", [["-R"], ["-J", "-input-charset", "utf-8"], ["-R", "-J", "-udf", "-input-charset", "utf-8"]])
def test_discs_of_others(api, tmp_path, options):
    data = tool_made(tmp_path, "genisoimage", *options, "-o")
    assert api.put(f"{IMAGES}/made.iso", data=data).status_code == 201
    assert listed(api, "made.iso", path="docs") == {"A name, in \u00c4 and \u00e9.txt": ("file", 5)}
    assert listed(api, "made.iso")["x"] == ("file", 1)
    if "-R" in options:
        assert listed(api, "made.iso")["link"] == ("link", None)


def test_what_is_no_disc(api):
    for name, data in {"zeros.img": bytes(MIB), "random.img": FILES["folder/big.bin"], "short.img": b"x" * 600}.items():
        assert api.put(f"{IMAGES}/{name}", data=data).status_code == 201
        problem = files(api, name, 422)
        assert problem["code"] == "files_unknown", problem


def test_hostile_discs(trayd, api, tmp_path):
    """Whatever bytes of the descriptors and directories change: an answer in bounded time, and no crash."""
    good = tool_made(tmp_path, "genisoimage", "-R", "-o")
    root = struct.unpack_from("<I", good, 16 * 2048 + 156 + 2)[0] * 2048
    assert api.put(f"{IMAGES}/d.iso", data=good).status_code == 201
    path = pathlib.Path(trayd.store, "d.iso")

    def answer_to(data):
        with open(path, "r+b") as f:
            f.write(data)
        answer = api.get(f"{IMAGES}/d.iso/files")
        assert answer.status_code in (200, 422), answer.text
        return answer
    docs = good.index(b"DOCS", root) - 33
    loop = bytearray(good)
    struct.pack_into("<I", loop, docs + 2, root // 2048)  # a folder that is its own parent
    struct.pack_into(">I", loop, docs + 6, root // 2048)
    assert answer_to(bytes(loop)).status_code in (200, 422)
    far = bytearray(good)
    struct.pack_into("<I", far, docs + 10, 0xfffff800)  # a folder of 4 GiB
    answer_to(bytes(far))
    dice = random.Random(7)
    for _ in range(60):
        data = bytearray(good)
        for _ in range(dice.choice([1, 4, 40])):
            data[dice.choice([dice.randrange(16 * 2048, 19 * 2048), dice.randrange(root, root + 4096)])] = dice.randrange(256)
        answer_to(bytes(data))
    assert answer_to(good).status_code == 200 and helper_of(trayd) is None


def test_the_commands_of_the_document(start_trayd, tmp_path):
    """docs/discs.md, as somebody copies it."""
    trayd = start_trayd().wait_ready()
    with open(os.path.join(ROOT, "docs", "discs.md"), encoding="utf-8") as f:
        block = re.search(r"```sh\n(.*?)```", f.read(), re.S).group(1)
    shutil.copytree(os.path.join(ROOT, "docs"), tmp_path / "docs")
    shutil.copy(os.path.join(ROOT, "README.md"), tmp_path)
    commands = "set -e\n" + re.sub(r"^kvm=.*", f"kvm={trayd.url}", block, flags=re.M)
    done = subprocess.run(["bash", "-c", commands], cwd=tmp_path, text=True, capture_output=True, check=True)
    answers = [json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines() if line.startswith("{")]
    assert answers[0]["name"] == "files.iso" and answers[0]["label"] == "DOCS"
    assert "discs.md" in [f["name"] for f in answers[1]["files"]]
