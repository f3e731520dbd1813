"""Dramatiq over Redis: how due rows reach a worker. A message is a hint: losing or doubling it does no harm."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

__all__ = ("ACTOR", "QUEUE", "Token", "declare_actor", "make_broker", "messages", "tokens")

QUEUE = "pegboard"
ACTOR = "pegboard.run"
NAMESPACE = "pegboard:dramatiq"
BATCH = 16

Token = tuple[UUID, int]
"""A job and the fence under which it was sent: whoever claims must find the same fence on the row."""


class _Broker(RedisBroker):
    """Without delay queues: PostgreSQL holds back what isn't due, so there is nothing to poll them for."""

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def make_broker(url: str) -> RedisBroker:
    """A broker for `url`. It has no middleware: retries, time limits and results are the job row's business."""
    pool = redis.ConnectionPool.from_url(url, socket_timeout=5, socket_connect_timeout=2)
    return _Broker(client=redis.Redis(connection_pool=pool), namespace=NAMESPACE, middleware=[])


def declare_actor(broker: RedisBroker, run: Callable[[list[list[Any]]], None]) -> None:
    """Have `run` called in a worker's thread with each message's batch; the message is acknowledged when it returns."""
    dramatiq.Actor(run, broker=broker, actor_name=ACTOR, queue_name=QUEUE, priority=0, options={})


def messages(due: Sequence[Token]) -> list[dramatiq.Message[None]]:
    """Messages that carry `due`: one job each when they are few, so that they spread over the workers."""
    size = max(1, min(BATCH, len(due) // 4))
    return [
        dramatiq.Message(
            queue_name=QUEUE,
            actor_name=ACTOR,
            args=([[job.hex, fence] for job, fence in due[start : start + size]],),
            kwargs={},
            options={},
        )
        for start in range(0, len(due), size)
    ]


def tokens(batch: list[list[Any]]) -> list[Token]:
    """What a message carried."""
    return [(UUID(job), fence) for job, fence in batch]
