// BullMQ for the benchmark; bench/src/peer/mod.rs says what each verb means.
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// The packages are in the working directory, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');

const NAME = 'bullmq';
const PROCESSES = 2;
const CONCURRENCY = 100;
const BULK = 1_000;
const CALLERS = 100;
const IDLE_MS = 2;
const LOOK_MS = 5;
const REPORT = 'bench:begun';
// ioredis gathers the commands of one turn of the event loop in one write.
const connect = () =>
  new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null, enableAutoPipelining: true });
const jobOptions = { removeOnComplete: true };
const data = () => ({ id: randomUUID(), data: 'x'.repeat(100) });
const clock = () => performance.timeOrigin + performance.now();

async function pushBulk(count) {
  const queue = new Queue(NAME, { connection: connect() });
  await queue.waitUntilReady();
  const jobs = Array.from({ length: count }, () => ({ name: 'job', data: data(), opts: jobOptions }));
  const began = performance.now();
  for (let from = 0; from < count; from += BULK) await queue.addBulk(jobs.slice(from, from + BULK));
  return { seconds: (performance.now() - began) / 1000 };
}

async function pushSingle(count) {
  const queue = new Queue(NAME, { connection: connect() });
  await queue.waitUntilReady();
  const began = performance.now();
  const caller = async () => {
    for (let done = 0; done < count / CALLERS; done++) await queue.add('job', data(), jobOptions);
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return { seconds: (performance.now() - began) / 1000 };
}

function startWorkers(processes, concurrency, ...role) {
  for (let n = 0; n < processes; n++) fork(fileURLToPath(import.meta.url), ['worker', concurrency, ...role]);
}

async function work(count) {
  const redis = connect();
  const waiting = () => redis.llen(`bull:${NAME}:wait`);
  startWorkers(PROCESSES, CONCURRENCY, 'nothing');
  while ((await waiting()) === count) await sleep(1);
  const began = performance.now();
  while ((await waiting()) + (await redis.llen(`bull:${NAME}:active`)) > 0) await sleep(LOOK_MS);
  return { seconds: (performance.now() - began) / 1000 };
}

async function pickup(count) {
  const redis = connect();
  const queue = new Queue(NAME, { connection: connect() });
  startWorkers(PROCESSES, CONCURRENCY, 'report');
  const ms = [];
  // The first job waits for the workers to start.
  for (let sample = 0; sample <= count; sample++) {
    await sleep(IDLE_MS);
    const pushed = clock();
    await queue.add('job', data(), jobOptions);
    const [, begun] = await redis.blpop(REPORT, 0);
    if (sample > 0) ms.push(Number(begun) - pushed);
  }
  return { ms };
}

async function worker(concurrency, role, set) {
  const redis = connect();
  const handlers = {
    nothing: async () => {},
    report: async () => void redis.rpush(REPORT, clock()),
    hold: async (job) => {
      await redis.sadd(set, job.id);
      await new Promise(() => {});
    },
  };
  new Worker(NAME, handlers[role], { connection: connect(), concurrency: Number(concurrency) });
  await new Promise(() => {});
}

const about = () => {
  const version = require('bullmq/package.json').version;
  const settings = `${PROCESSES} processes of ${CONCURRENCY} jobs, addBulk of ${BULK}, removeOnComplete`;
  return { config: `${version}, Node.js ${process.versions.node}, ${settings}` };
};

const [verb, ...words] = process.argv.slice(2);
const verbs = {
  about,
  'push-bulk': () => pushBulk(Number(words[0])),
  'push-single': () => pushSingle(Number(words[0])),
  work: () => work(Number(words[0])),
  pickup: () => pickup(Number(words[0])),
  hold: () => worker(words[0], 'hold', words[1]),
  worker: () => worker(...words),
};
console.log(JSON.stringify(await verbs[verb]()));
