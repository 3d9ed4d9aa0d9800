"""trayd-gadget is killed at each step of taking a store away and of bringing it back, on the simulation.

Whoever waits gets an answer, and what it says is so in both processes: detached, with nothing put in from there, or attached
with everything working. Never half.
"""
import os
import tempfile
import threading

import pytest
from conftest import Trayd
from contract import Client, host, until
from test_faults import DRIVES, GADGET, PROGRAM, SECOND, WHOLE, World

STORE = "/api/v1/stores/main"
EVERY = 1 if WHOLE else 3  # passages: what is left out has its turn in `make faults`


def seen(api):
    return api.get(STORE).json()


def rests(world):
    """Nothing is under way in either process; trayd has heard of it."""
    return world.is_ready() and (seen(world.api)["detached"] or {"step": "done"})["step"] == "done"


def prepare(world, order):
    world.wait_alive()
    until(lambda: rests(world), "rest")
    world.api.post(STORE + "/attach")
    until(lambda: seen(world.api)["attached"], "the store")
    world.api.eject("cd0", mode="forced")
    if order == "attach":
        assert world.api.post(STORE + "/detach", json={"unmount": True}).status_code == 200
    else:
        world.api.insert("cd0", "a.iso")


def ask(world, order):
    """In a thread: the answers, when they have come."""
    answers = []
    arguments = {"json": {"unmount": True}} if order == "detach" else {}
    thread = threading.Thread(target=lambda: answers.append(Client(world.trayd.url).post(f"{STORE}/{order}", **arguments)))
    thread.start()
    return thread, answers


def check(world, order, answers):
    until(lambda: rests(world), "rest")
    store = seen(world.api)
    (answer,) = answers
    away = store["detached"] is not None
    assert away != store["attached"], store
    if answer.status_code == 200:
        assert away == (order == "detach"), (store, answer.text)
    else:
        assert answer.status_code in (409, 503), answer.text
        # Of a detach that failed all is as before; an attach whose answer was lost may have been carried out.
        assert order == "attach" or not away, (store, answer.text)
    insert = world.api.put("/api/v1/drives/cd0/medium", json={"image": "b.iso", "mode": "forced"})
    if away:
        assert store["detached"]["unmounted"] and store["detached"]["safe_to_remove"]
        assert insert.json()["code"] == "store_detached"
        assert world.kernel("cd0") is None
    else:
        assert insert.status_code == 200, insert.text
        assert world.kernel("cd0")[0] == "b.iso"


def run_once(world, order, deaths):
    prepare(world, order)
    (world.dir / "deaths").unlink(missing_ok=True)
    lives, before = world.lives, world.enumerations()
    (world.dir / "order").write_text(deaths)
    thread, answers = ask(world, order)
    thread.join(60)
    assert not thread.is_alive(), "nobody was answered"
    until(lambda: len(world.deaths()) == deaths.count("\n") or rests(world), "the end")
    (world.dir / "order").unlink()
    died = len(world.deaths())
    until(lambda: world.lives >= lives + died, "another trayd-gadget")
    world.wait_alive()
    check(world, order, answers)
    assert world.enumerations() == before, "the host has seen something"
    return died


def record(world, order):
    prepare(world, order)
    (world.dir / "passages").write_text("")
    thread, answers = ask(world, order)
    thread.join(30)
    passages = (world.dir / "passages").read_text().split("\n")[:-1]
    (world.dir / "passages").unlink()
    assert answers[0].status_code == 200, answers[0].text
    check(world, order, answers)
    return passages


@pytest.mark.skipif(not PROGRAM.exists(), reason="not built: make VARIANT=faults")
@pytest.mark.parametrize("order", ["detach", "attach"])
def test_killed_at_each_passage(order):
    with tempfile.TemporaryDirectory(prefix="trayd-test-") as other:
        os.chmod(other, 0o755)
        sweep(order, other)


def sweep(order, other):
    """`other`: the directory of a second store, since without any the service is not ready."""
    trayd = Trayd(simulate=False, gadget=GADGET, more=DRIVES, store=f'}}, {{ name = "other"; path = "{other}";')
    world = None
    try:
        world = World(trayd)
        passages = record(world, order)
        assert {"daemon store.give", "daemon store.arrived", "daemon store.told"} <= set(passages), passages
        died = 0
        chosen = range(1, len(passages) + 1, EVERY)
        for n in chosen:
            deaths = f"* {n} daemon\n" + (f"* {SECOND[n % len(SECOND)]} daemon\n" if n % 2 else "")
            try:
                died += run_once(world, order, deaths)
            except Exception as e:
                log = (trayd.directory / "gadget.log").read_text()[-4000:]
                raise AssertionError(f"{deaths!r} of {passages}, {world.deaths()}: {e!r}\n{log}\n{trayd.messages()[-3000:]}") from e
        print(f"{order}: {len(passages)} passages, {died} deaths")
        assert died >= len(chosen)
        host(trayd, "store main well")
    finally:
        if world:
            world.close()
        trayd.close()
