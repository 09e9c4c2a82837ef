# SPDX-License-Identifier: MIT
"""Java and Node, whose run times make threads of their own."""

import shutil

import pytest
from alike import run, scheduled, umcg_run

#: To start a JVM takes a minute on a slow machine.
pytestmark = [pytest.mark.timeout(3000), pytest.mark.long]

JAVA = """
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

public class Work {
    static int counted = 0;

    static synchronized void count() { counted++; }

    public static void main(String[] words) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<Integer>> answers = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            final int n = i;
            answers.add(pool.submit(() -> { count(); Thread.sleep(1); return n * n; }));
        }
        int sum = 0;
        for (Future<Integer> answer : answers)
            sum += answer.get();
        pool.shutdown();
        System.out.println(sum + " " + counted);
        System.out.println(IntStream.range(0, 20000).parallel().mapToLong(x -> x % 7).sum());
        byte[][] kept = new byte[16][];
        for (int i = 0; i < 400; i++)
            kept[i % 16] = new byte[100_000];
        System.gc();
        BlockingQueue<Integer> queue = new ArrayBlockingQueue<>(2);
        Thread giver = new Thread(() -> {
            try { for (int i = 0; i < 30; i++) queue.put(i); } catch (InterruptedException e) { }
        });
        giver.start();
        int got = 0;
        for (int i = 0; i < 30; i++)
            got += queue.take();
        giver.join();
        Thread bad = new Thread(() -> { throw new IllegalStateException("mine"); });
        bad.setUncaughtExceptionHandler((t, e) -> System.out.println("caught " + e.getMessage()));
        bad.start();
        bad.join();
        System.out.println(got + " " + kept.length);
        System.exit(5);
    }
}
"""

NODE = """
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const crypto = require("crypto"), fs = require("fs");
if (!isMainThread) {
    let sum = 0;
    for (let i = 0; i < 50000; i++) sum += (i * workerData) % 11;
    parentPort.postMessage([workerData, sum]);
} else {
    const wait = (n) => new Promise((done) =>
        new Worker(__filename, { workerData: n }).on("message", done));
    const key = (n) => new Promise((done) =>
        crypto.pbkdf2("word", "salt" + n, 50, 16, "sha256", (_, k) => done(k.toString("hex"))));
    Promise.all([
        ...[1, 2, 3].map(wait), ...[1, 2, 3, 4, 5, 6].map(key),
        fs.promises.readFile(__filename).then((text) => text.length),
    ]).then((all) => { console.log(JSON.stringify(all)); process.exitCode = 4; });
}
"""


def alike(command, status):
    plain = run(*command)
    assert plain[0] == status and plain[1], plain
    code, out, said = run(umcg_run(), "-n2", "-plas", "--stats", *command)
    assert (code, out) == plain[:2], said
    return scheduled(said)


def test_java(tmp_path):
    if not shutil.which("javac"):
        pytest.skip("no Java compiler is installed")
    (tmp_path / "Work.java").write_text(JAVA, encoding="utf-8")
    assert run("javac", "-d", tmp_path, tmp_path / "Work.java")[0] == 0
    # The pool's six, the giver, the bad one, and what the JVM has.
    assert alike(["java", "-Xmx128m", "-cp", tmp_path, "Work"], 5) > 12


def test_node(tmp_path):
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    (tmp_path / "work.js").write_text(NODE, encoding="utf-8")
    # Three workers, and the pool that computes keys and reads files.
    assert alike(["node", tmp_path / "work.js"], 4) >= 7
