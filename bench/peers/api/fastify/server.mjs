// Fastify for the benchmark: the routes that bench/src/api measures, with the usual cache and drivers.
import cluster from 'node:cluster';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';

// The packages are in the working directory, not beside this file.
const require = createRequire(`${process.cwd()}/`);
const fastify = require('fastify');
const Redis = require('ioredis');
const { LRUCache } = require('lru-cache');
const pg = require('pg');

const { DATABASE_URL, REDIS_URL, REDIS_PREFIX, PORT, WORKERS, POOL_SIZE } = process.env;
const KEEP_ALIVE_MS = 75_000;
const BACKLOG = 4096;
const LOCAL_MS = 60_000;
const DAY_SECONDS = 24 * 3600;
const KEPT_SECONDS = { tests: 300, leaderboards: 300, notifications: 30, sessions: DAY_SECONDS };
const KEPT = 50_000;
const LIMIT = 20;
const JSON_TYPE = 'application/json';

const names = readdirSync(process.env.QUERIES).filter((file) => file.endsWith('.sql'));
// A query with a name is prepared once a connection.
const queries = Object.fromEntries(names.map((file) => {
  const name = file.slice(0, -'.sql'.length);
  return [name, { name, text: readFileSync(`${process.env.QUERIES}/${file}`, 'utf8') }];
}));

const uuid = { type: 'string', format: 'uuid' };
const number = { type: 'number' };
const text = { type: 'string' };
const nullable = (schema) => ({ anyOf: [{ type: 'null' }, schema] });
const instant = { type: ['string', 'null'], format: 'date-time' };
const object = (properties) => ({ type: 'object', properties });
const array = (items) => ({ type: 'array', items });
const listed = (item) => object({ items: array(item), next_cursor: nullable(text) });

const id = object({ id: uuid });
const page = object({ limit: { type: 'integer', minimum: 1, maximum: 100, default: LIMIT } });
const chosenBoard = object({ ...page.properties, test_id: uuid });
const ballot = { ...object({ value: { type: 'integer', enum: [1, 0, -1] } }), required: ['value'] };
const feedback = object({
  question_id: text,
  correct: { type: 'boolean' },
  points: number,
  comment: text,
  graded_by: text,
});
const attempt = object({
  id: text,
  test_id: text,
  status: text,
  score: nullable(number),
  max_score: number,
  percentile: nullable(number),
  feedback: array(feedback),
  submitted_at: instant,
  graded_at: instant,
});
const entry = object({ rank: number, user: nullable(object({ id: text, display_name: text })), score: number });
const standing = object({ rank: number, percentile: nullable(number), score: number });
const leaderboard = object({ entries: array(entry), me: nullable(standing), total: number });

function serve() {
  const redis = new Redis(REDIS_URL, { enableAutoPipelining: true });
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL_SIZE) / Number(WORKERS) });
  const query = (name, values, client = pool) => client.query({ ...queries[name], values });

  // In this process for a minute, over Redis, over PostgreSQL; one load at a time for a key.
  function kept(name, load, decode) {
    const prefix = `${REDIS_PREFIX}:fastify:${name}:`;
    const cache = new LRUCache({
      max: KEPT,
      ttl: Math.min(LOCAL_MS, KEPT_SECONDS[name] * 1000),
      fetchMethod: async (key) => {
        let text = await redis.get(prefix + key);
        if (text === null) {
          const loaded = await load(key);
          if (loaded === undefined) return undefined;
          text = JSON.stringify(loaded);
          await redis.set(prefix + key, text, 'EX', KEPT_SECONDS[name]);
        }
        return decode(text);
      },
    });
    return (key) => cache.get(key) ?? cache.fetch(key);
  }

  const summary = ({ time_limit: timed, ...test }) => (timed ? { ...test, time_limit: timed } : test);
  const digest = (name, bytes) => createHash(name).update(bytes).digest('base64url');
  const body = (text) => ({ bytes: Buffer.from(text), etag: `"${digest('sha1', text)}"` });
  const session = async (hash) => (await query('session', [Buffer.from(hash, 'base64url')])).rows[0];
  const sessions = kept('sessions', session, JSON.parse);
  const list = kept('tests', async (limit) => ({
    items: (await query('tests', [limit])).rows.map(summary),
    next_cursor: null,
  }), body);
  const sheets = kept('tests', sheet, body);
  const tops = kept('leaderboards', top, JSON.parse);
  const notifications = kept('notifications', async (user) => {
    const { rows } = await query('notifications', [user, LIMIT]);
    return { items: rows, next_cursor: null };
  }, body);

  // What a timed test asks comes with its start.
  async function sheet(id) {
    const [test, questions] = await Promise.all([query('test', [id]), query('questions', [id])]);
    if (test.rows.length === 0) return undefined;
    const { time_limit: timed, passage } = test.rows[0];
    const shown = timed ? { passage: null, questions: [] } : { passage, questions: questions.rows };
    return { ...summary(test.rows[0]), question_count: questions.rows.length, ...shown };
  }

  async function top(key) {
    const [test, limit] = key.split(' ');
    const [entries, total] = await Promise.all([query('top', [test, limit]), query('total', [test])]);
    const place = ({ rank, user_id, display_name, score }) => ({
      rank,
      user: display_name === null ? null : { id: user_id, display_name },
      score,
    });
    return { entries: entries.rows.map(place), total: total.rows[0].total };
  }

  const app = fastify({ keepAliveTimeout: KEEP_ALIVE_MS });
  app.decorateRequest('user', null);

  async function signedIn(request, reply) {
    const { authorization } = request.headers;
    if (authorization?.startsWith('Bearer ')) {
      const found = await sessions(digest('sha256', Buffer.from(authorization.slice(7), 'base64url')));
      if (found && found.expires_at > Date.now() / 1000) {
        request.user = found.user_id;
        return;
      }
    }
    return reply.code(401).send({ title: 'Unauthorized', status: 401 });
  }

  function send(request, reply, found, control) {
    if (!found) return reply.code(404).send({ title: 'Not Found', status: 404 });
    reply.header('etag', found.etag).header('cache-control', control);
    if (request.headers['if-none-match'] === found.etag) return reply.code(304).send();
    return reply.header('content-type', JSON_TYPE).send(found.bytes);
  }

  const shared = 'public, max-age=15';
  const own = 'private, no-cache';
  app.get('/api/tests', { schema: { querystring: page } }, async (request, reply) =>
    send(request, reply, await list(String(request.query.limit)), shared));
  app.get('/api/tests/:id', { schema: { params: id } }, async (request, reply) =>
    send(request, reply, await sheets(request.params.id), shared));
  app.get('/api/notifications', { onRequest: signedIn }, async (request, reply) =>
    send(request, reply, await notifications(request.user), own));

  const board = { querystring: { ...chosenBoard, required: ['test_id'] }, response: { 200: leaderboard } };
  app.get('/api/leaderboard', { onRequest: signedIn, schema: board }, async (request) => {
    const { test_id: test, limit } = request.query;
    const [{ rows }, found] = await Promise.all([query('standing', [test, request.user]), tops(`${test} ${limit}`)]);
    return { ...found, me: rows[0] ?? null };
  });

  const attempts = { querystring: page, response: { 200: listed(attempt) } };
  app.get('/api/attempts', { onRequest: signedIn, schema: attempts }, async (request) => {
    const { rows } = await query('attempts', [request.user, request.query.limit]);
    return { items: rows, next_cursor: null };
  });
  const one = { params: id, response: { 200: attempt } };
  app.get('/api/attempts/:id', { onRequest: signedIn, schema: one }, async (request, reply) => {
    const { rows } = await query('attempt', [request.user, request.params.id]);
    return rows[0] ?? reply.code(404).send({ title: 'Not Found', status: 404 });
  });

  app.post('/api/models/:slug/vote', { onRequest: signedIn, schema: { body: ballot } }, async (request) => {
    const { slug } = request.params;
    const client = await pool.connect();
    try {
      await client.query('begin');
      await query('cast_vote', [request.user, slug, request.body.value], client);
      const { rows } = await query('own_vote', [request.user, slug], client);
      await client.query('commit');
      const { value, cast_at, ...counts } = rows[0];
      return { model: slug, vote: { value, cast_at }, counts };
    } catch (error) {
      await client.query('rollback');
      throw error;
    } finally {
      client.release();
    }
  });

  app.listen({ port: Number(PORT), host: '127.0.0.1', backlog: BACKLOG });
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(WORKERS); worker++) cluster.fork();
} else {
  serve();
}
