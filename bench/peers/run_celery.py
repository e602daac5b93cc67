"""Celery for the benchmark."""

import os

import celery

import protocol

PROCESSES = 2

app = celery.Celery("run_celery", broker=protocol.URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_pool_limit=protocol.CALLERS,
    task_acks_late=True,
    task_ignore_result=True,
    worker_disable_rate_limits=True,
    worker_prefetch_multiplier=1,
)


@app.task(bind=True)
def job(task, _id, _data):
    protocol.handle(task.request.id)


# Tried: a pool of two forked processes does half of what two processes without a pool do.
WORKER = ["celery", "--app=run_celery", "worker", "--pool=solo", "--loglevel=ERROR"]
WORKER += ["--without-gossip", "--without-mingle", "--without-heartbeat"]


def waiting():
    return protocol.client.llen("celery")


if __name__ == "__main__":
    protocol.answer(
        about=f"{celery.__version__}, {PROCESSES} processes of the solo pool, acks late, no results, pushed in a loop",
        push=job.delay,
        waiting=waiting,
        unfinished=lambda: waiting() + protocol.client.hlen("unacked"),
        workers=[[*WORKER, f"--hostname=worker{number}"] for number in range(PROCESSES)],
        holder=[*WORKER, f"--hostname=holder{os.getpid()}"],
    )
