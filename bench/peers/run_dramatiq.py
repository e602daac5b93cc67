"""dramatiq for the benchmark."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import protocol

PROCESSES = 2
THREADS = 8
PREFETCH = 1_000

broker = RedisBroker(url=protocol.URL)
dramatiq.set_broker(broker)


@dramatiq.actor
def job(job_id, _data):
    protocol.handle(job_id)


def worker(processes):
    return ["dramatiq", "run_dramatiq", f"--processes={processes}", f"--threads={THREADS}"]


if __name__ == "__main__":
    # Its workers read it when they start.
    os.environ["dramatiq_queue_prefetch"] = str(PREFETCH)
    settings = f"{PROCESSES} processes of {THREADS} threads, {PREFETCH} prefetched, pushed in a loop"
    protocol.answer(
        about=f"{dramatiq.__version__}, {settings}",
        push=job.send,
        waiting=lambda: protocol.client.llen("dramatiq:default"),
        unfinished=lambda: protocol.client.hlen("dramatiq:default.msgs"),
        workers=[worker(PROCESSES)],
        holder=worker(1),
    )
