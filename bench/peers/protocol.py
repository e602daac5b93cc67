"""What the Python peers share; bench/src/peer/mod.rs says what each verb means."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import redis

URL = os.environ["REDIS_URL"]
CALLERS = 100
IDLE = 0.002
LOOK = 0.005
REPORT = "bench:begun"
DATA = "x" * 100

# What the handler does is told by the environment of the worker's process.
ROLE, *SET = os.environ.get("BENCH_ROLE", "nothing").split()
client = redis.Redis.from_url(URL)


def arguments():
    return str(uuid.uuid4()), DATA


def handle(job_id):
    """The job: nothing, but for the two measurements that want to know when it begins."""
    if ROLE == "report":
        client.rpush(REPORT, time.time() * 1000)
    elif ROLE == "hold":
        client.sadd(SET[0], job_id)
        signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()


def seconds(do):
    began = time.monotonic()
    do()
    return {"seconds": time.monotonic() - began}


def push_bulk(push, count):
    """Neither Celery nor dramatiq has a bulk push on Redis: a loop."""
    jobs = [arguments() for _ in range(count)]

    def loop():
        for job in jobs:
            push(*job)

    return seconds(loop)


def push_single(push, count):
    def caller():
        for _ in range(count // CALLERS):
            push(*arguments())

    def all_callers():
        threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return seconds(all_callers)


def start_worker(command, role):
    environment = {**os.environ, "BENCH_ROLE": role, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}
    return subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=sys.stderr)


def work(workers, count, waiting, unfinished):
    for command in workers:
        start_worker(command, "nothing")
    while waiting() == count:
        time.sleep(0.001)

    def until_done():
        while unfinished():
            time.sleep(LOOK)

    return seconds(until_done)


def pickup(workers, push, count):
    for command in workers:
        start_worker(command, "report")
    waits = []
    for _ in range(count + 1):
        time.sleep(IDLE)
        pushed = time.time() * 1000
        push(*arguments())
        waits.append(float(client.blpop(REPORT)[1]) - pushed)
    # The first job waited for the workers to start.
    return {"ms": waits[1:]}


def answer(about, push, waiting, unfinished, workers, holder):
    """Does what the command line says. `workers` are commands that run at once, `holder` runs when one is killed."""
    verb, *words = sys.argv[1:]
    count = int(words[0]) if words else 0
    verbs = {
        "about": lambda: {"config": f"{about}, Python {sys.version.split()[0]}, hiredis"},
        "push-bulk": lambda: push_bulk(push, count),
        "push-single": lambda: push_single(push, count),
        "work": lambda: work(workers, count, waiting, unfinished),
        "pickup": lambda: pickup(workers, push, count),
        "hold": lambda: start_worker(holder, f"hold {words[1]}").wait(),
    }
    print(json.dumps(verbs[verb]()), flush=True)
