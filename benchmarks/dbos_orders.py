"""The same saga on DBOS Transact: three steps, of which the third refuses one order in ten, and two compensations.

Written as its documentation has it: a workflow that calls steps, and compensates in an `except`. Each step is recorded
by DBOS in PostgreSQL; none does any work of its own. Runs in a virtual environment of its own (requirements/bench.txt):
`python dbos_orders.py URL ORDERS [--processes N] [--threads N] [--queue]`.

It prints what it measured as JSON. Processes are executors of DBOS, which share the database; the orders are dealt
evenly, and each executor runs so many workflows side by side. With `--queue` they come over DBOS' queue instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from dbos import DBOS, DBOSConfig

WARM = 50


class Unreachable(Exception):
    """No carrier goes there."""


@DBOS.step()
def reserve_inventory(order: dict[str, Any]) -> dict[str, Any]:
    return {"order_id": order["order_id"]}


@DBOS.step()
def charge_payment(order: dict[str, Any]) -> dict[str, Any]:
    return {"payment_id": f"pay-{order['order_id']}"}


@DBOS.step()
def create_shipment(order: dict[str, Any]) -> dict[str, Any]:
    if order["country"] == "Atlantis":
        raise Unreachable("no carrier goes there")
    return {"tracking": f"T-{order['order_id']}"}


@DBOS.step()
def refund_payment(payment: dict[str, Any]) -> None:
    return None


@DBOS.step()
def release_inventory(reservation: dict[str, Any]) -> None:
    return None


@DBOS.workflow()
def process_order(order: dict[str, Any]) -> str:
    reservation = reserve_inventory(order)
    payment = charge_payment(order)
    try:
        create_shipment(order)
    except Unreachable:
        refund_payment(payment)
        release_inventory(reservation)
        return "compensated"
    return "completed"


def order(number: int) -> dict[str, Any]:
    return {
        "order_id": f"{number:07}-x",
        "customer": f"good-{number}",
        "sku": "lamp",
        "quantity": 1,
        "total": "9.90",
        "country": "Norway" if number % 10 else "Atlantis",
    }


def launch(url: str, executor: str, threads: int) -> None:
    config: DBOSConfig = {
        "name": "orders",
        "system_database_url": url,
        "sys_db_pool_size": max(20, threads),
        "max_executor_threads": max(64, 2 * threads),
        "executor_id": executor,
        "application_version": "1",
        "log_level": "ERROR",
        "enable_otlp": False,
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue("orders", worker_concurrency=threads, polling_interval_sec=0.05)


def run(numbers: range, threads: int, queued: bool) -> list[str]:
    with ThreadPoolExecutor(threads) as pool:
        if not queued:
            return list(pool.map(lambda number: process_order(order(number)), numbers))
        handles = list(
            pool.map(lambda number: DBOS.enqueue_workflow("orders", process_order, order(number)), numbers)
        )
        return [handle.get_result(polling_interval_sec=0.05) for handle in handles]


def executor(options: argparse.Namespace) -> None:
    """One process: gets warm, says so, waits for the word, and does its share."""
    launch(options.url, f"executor-{options.share}", options.threads)
    run(range(WARM), options.threads, options.queue)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    first, last = (
        options.orders * share // options.processes for share in (options.share, options.share + 1)
    )
    ends = run(range(first, last), options.threads, options.queue)
    cpu = time.process_time() - began
    print(
        json.dumps(
            {"completed": ends.count("completed"), "compensated": ends.count("compensated"), "cpu": cpu}
        )
    )
    sys.stdout.flush()
    os._exit(0)  # its threads would go on polling


def measure(options: argparse.Namespace) -> dict[str, float]:
    processes: list[subprocess.Popen[str]] = []
    for share in range(options.processes):
        command = [sys.executable, "-P", __file__, *sys.argv[1:], "--share", str(share)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert stream(process.stdout).readline() == "ready\n"
    began = time.perf_counter()
    for process in processes:
        stream(process.stdin).write("go\n")
        stream(process.stdin).flush()
    said = [json.loads(stream(process.stdout).readline()) for process in processes]
    took = time.perf_counter() - began
    for process in processes:
        process.wait()
    assert sum(each["compensated"] for each in said) == -(-options.orders // 10)
    assert sum(each["completed"] + each["compensated"] for each in said) == options.orders
    return {"rate": options.orders / took, "cpu": sum(each["cpu"] for each in said) / options.orders}


def stream(of: IO[str] | None) -> IO[str]:
    assert of is not None
    return of


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("orders", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--queue", action="store_true")
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.share is None:
        print(json.dumps(measure(given)))
    else:
        executor(given)
