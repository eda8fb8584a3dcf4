// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ManualClock, until } from '../../../../tests/support/manual-clock.js';
import type { RunEvent } from '../runs/index.js';
import { MlflowSink } from './mlflow-sink.js';

// A tracking server that holds requests to the shapes of MLflow's REST API 2.0 and answers as it does.
const keyValues = z.array(z.strictObject({ key: z.string().max(250), value: z.string().max(500) }));
const bodies: Record<string, z.ZodType> = {
  'experiments/create': z.strictObject({ name: z.string() }),
  'runs/create': z.strictObject({
    experiment_id: z.string(),
    run_name: z.string(),
    start_time: z.int(),
    tags: keyValues,
  }),
  'runs/log-batch': z.strictObject({
    run_id: z.literal('run-1'),
    metrics: z
      .array(
        z.strictObject({
          key: z.string().regex(/^[\w\-. /]{1,250}$/),
          value: z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]),
          timestamp: z.int(),
          step: z.int(),
        }),
      )
      .max(1000)
      .optional(),
    params: keyValues.max(100).optional(),
  }),
  'runs/update': z.strictObject({
    run_id: z.literal('run-1'),
    status: z.enum(['RUNNING', 'FINISHED', 'FAILED', 'KILLED']),
    end_time: z.int().optional(),
  }),
};

interface Call {
  path: string;
  // biome-ignore lint/suspicious/noExplicitAny: its shape was checked above
  body: any;
  authorization: string | undefined;
}

type Fault = (path: string, response: ServerResponse) => boolean;
const servers: (() => void)[] = [];
afterEach(() => {
  for (const close of servers.splice(0)) close();
});

async function tracking({ fault = () => false, port = 0 }: { fault?: Fault; port?: number } = {}) {
  const calls: Call[] = [];
  const experiments = new Map<string, string>();
  const answer = (path: string, query: URLSearchParams, body: { name?: string }): [number, object] => {
    switch (path) {
      case 'experiments/get-by-name': {
        const id = experiments.get(query.get('experiment_name')!);
        return id
          ? [200, { experiment: { experiment_id: id } }]
          : [404, { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'Could not find experiment' }];
      }
      case 'experiments/create':
        experiments.set(body.name!, '7');
        return [200, { experiment_id: '7' }];
      case 'runs/create':
        return [200, { run: { info: { run_id: 'run-1' } } }];
      default:
        return [200, {}];
    }
  };
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://localhost');
    const path = pathname.replace('/api/2.0/mlflow/', '');
    let text = '';
    for await (const piece of request) text += piece;
    if (fault(path, response)) return;
    const body = text === '' ? {} : JSON.parse(text);
    const problem = path === 'experiments/get-by-name' ? undefined : bodies[path]!.safeParse(body).error;
    calls.push({ path, body, authorization: request.headers.authorization });
    const [status, result] = problem
      ? [400, { error_code: 'INVALID_PARAMETER_VALUE', message: problem.message }]
      : answer(path, searchParams, body as { name?: string });
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(result));
  };
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  servers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { calls, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const step = (step: number, metrics: Record<string, number>): RunEvent => ({
  time: '2026-01-02T03:04:05.678Z',
  type: 'step',
  step,
  epoch: step / 10,
  metrics,
});
const waits = { first: 5, longest: 20, close: 4000 };
/** A sink whose waits between tries are over at once; what it waits for at its end passes when the test says so. */
function sink(
  address: string,
  more: { env?: Record<string, string>; recipe?: object; folder?: string; shown?: string } = {},
) {
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const clock = new ManualClock(waits.longest);
  const run = { experiment: 'exp', runName: 'run', recipe: { method: 'dpo' } };
  return { warnings, clock, sink: new MlflowSink({ address, ...run, waits, env: {}, warn, clock, ...more }) };
}
/** Closes a sink whose server does not take what it sends: it tries until its time is over. */
async function closeInVain(mlflow: MlflowSink, clock: ManualClock): Promise<void> {
  const closed = mlflow.close('failed');
  await until(() => clock.waits.length > 3);
  clock.advance(waits.close);
  await closed;
}
const metricsOf = (calls: Call[]) => calls.flatMap(({ body }) => body.metrics ?? []);

describe('MLflow', () => {
  it('gets the experiment, the run, the recipe, every number in order, and the end', async () => {
    const { calls, address } = await tracking();
    const recipe = { method: 'dpo', optimizer: { lr: 1e-6, betas: [0.9, 0.95] }, model: 'x'.repeat(600) };
    const { sink: mlflow, warnings } = sink(`${address}/`, { recipe });
    mlflow.write({ time: '2026-01-02T03:04:05.000Z', type: 'evaluation', step: 0, metrics: { loss: 2 } });
    mlflow.write(step(1, { loss: Number.NaN, 'rewards/chosen': -0.5 }));
    mlflow.write({ time: '2026-01-02T03:04:05.000Z', type: 'warning', message: 'no number' });
    for (let i = 2; i <= 1000; i++) mlflow.write(step(i, { loss: i }));
    await mlflow.close('finished');

    expect(warnings).toEqual([]);
    expect(calls.slice(0, 4).map(({ path }) => path)).toEqual([
      'experiments/get-by-name',
      'experiments/create',
      'runs/create',
      'runs/log-batch',
    ]);
    expect(calls[2]!.body).toMatchObject({ experiment_id: '7', run_name: 'run' });
    const params = new Map(calls[3]!.body.params.map(({ key, value }: Record<string, string>) => [key, value]));
    expect(params.get('optimizer.betas')).toBe('[0.9,0.95]');
    expect(params.get('model')).toHaveLength(500);
    const timestamp = Date.parse('2026-01-02T03:04:05.678Z');
    const metrics = metricsOf(calls);
    expect(metrics.slice(0, 4)).toEqual([
      { key: 'eval/loss', value: 2, timestamp: timestamp - 678, step: 0 },
      { key: 'loss', value: 'NaN', timestamp, step: 1 },
      { key: 'rewards/chosen', value: -0.5, timestamp, step: 1 },
      { key: 'epoch', value: 0.1, timestamp, step: 1 },
    ]);
    expect(metrics.filter(({ key }) => key === 'loss').map(({ step }) => step)).toEqual(
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
    expect(calls.at(-1)).toMatchObject({ path: 'runs/update', body: { status: 'FINISHED' } });
  });

  it.each([
    ['interrupted', 'KILLED'],
    ['failed', 'FAILED'],
  ] as const)('knows a run that was %s as %s', async (end, status) => {
    const { calls, address } = await tracking();
    await sink(address).sink.close(end);
    expect(calls.at(-1)!.body.status).toBe(status);
  });

  it('says who writes as its own client does', async () => {
    const { calls, address } = await tracking();
    const own = { MLFLOW_TRACKING_URI: `${address}/some/path` };
    await sink(address, { env: { ...own, MLFLOW_TRACKING_TOKEN: 't' } }).sink.close('finished');
    expect(calls[0]!.authorization).toBe('Bearer t');
    const env = { ...own, MLFLOW_TRACKING_USERNAME: 'u', MLFLOW_TRACKING_PASSWORD: 'p' };
    await sink(address, { env }).sink.close('finished');
    expect(calls.at(-1)!.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
  });

  it('is not told who writes where the credentials belong to another server, and the run says so', async () => {
    const { calls, address } = await tracking();
    const other = address.replace('127.0.0.1', 'localhost');
    for (const MLFLOW_TRACKING_URI of [undefined, 'https://mlflow.corp.example', other, `${address}0`, 'file:///x']) {
      const env = { MLFLOW_TRACKING_TOKEN: 's3cr3t-token', ...(MLFLOW_TRACKING_URI && { MLFLOW_TRACKING_URI }) };
      const { sink: mlflow, warnings } = sink(address, { env });
      await mlflow.close('finished');
      expect(warnings).toEqual([expect.stringMatching(/^MLFLOW_TRACKING_TOKEN is not sent to http:\/\/127\.0\.0\.1/)]);
      expect(warnings[0]).not.toMatch(/s3cr3t|corp/);
    }
    expect(calls.length).toBeGreaterThan(10);
    expect(calls.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  });

  it('is not followed to another address, not with the credentials nor without', async () => {
    const elsewhere = await tracking();
    const redirect: Fault = (_, response) => {
      response.writeHead(307, { location: elsewhere.address }).end();
      return true;
    };
    const { address } = await tracking({ fault: redirect });
    const env = { MLFLOW_TRACKING_URI: address, MLFLOW_TRACKING_TOKEN: 's3cr3t-token' };
    const { sink: mlflow, warnings, clock } = sink(address, { env });
    mlflow.write(step(1, { loss: 1 }));
    await closeInVain(mlflow, clock);
    expect(elsewhere.calls).toEqual([]);
    expect(warnings.join()).toMatch(/redirect.*2 numbers of this run were not sent/);
  });

  it('may repeat the credentials in what it says; no warning does', async () => {
    const password = 's3cr3t-password';
    const pair = Buffer.from(`me:${password}`).toString('base64');
    const repeat: Fault = (_, response) => {
      response.writeHead(403).end(`{"error_code":"NO","message":"${'x'.repeat(380)} ${pair} ${password} ${pair}"}`);
      return true;
    };
    const { address } = await tracking({ fault: repeat });
    const env = {
      MLFLOW_TRACKING_URI: address,
      MLFLOW_TRACKING_USERNAME: 'me',
      MLFLOW_TRACKING_PASSWORD: password,
    };
    const { sink: mlflow, warnings } = sink(address, { env });
    await mlflow.close('finished');
    expect(warnings[0]).toContain('[hidden]');
    expect(warnings[0]).not.toContain(pair.slice(0, 6));
    expect(warnings[0]).not.toContain('s3cr3t');
  });

  it('is called by the variable that names it, in warnings and in the run folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mlflow-'));
    const shown = '${MLFLOW_TRACKING_URI}';
    const { calls, address } = await tracking();
    await sink(address, { folder, shown }).sink.close('interrupted');
    expect(readFileSync(join(folder, 'mlflow.json'), 'utf8')).toBe(`{"address":"${shown}","run":"run-1"}\n`);
    await sink(address, { folder, shown }).sink.close('finished');
    expect(calls.filter(({ path }) => path === 'runs/create').length).toBe(1);

    // The variable names another server by now, which knows no such run.
    const unknown: Fault = (path, response) => {
      if (path !== 'runs/update' || other.calls.length > 0) return false;
      response.writeHead(404).end('{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Run not found"}');
      return true;
    };
    const other = await tracking({ fault: unknown });
    const again = sink(other.address, { folder, shown });
    await again.sink.close('finished');
    expect(other.calls.map(({ path }) => path)).toContain('runs/create');
    expect(again.warnings).toEqual([]);

    for (const close of servers.splice(0)) close();
    const gone = sink(address, { shown });
    gone.sink.write(step(1, { loss: 1 }));
    await closeInVain(gone.sink, gone.clock);
    expect(gone.warnings).toHaveLength(2);
    expect(gone.warnings.join()).toMatch(
      /GET \$\{MLFLOW_TRACKING_URI\}\/api.*not sent to MLflow \(\$\{MLFLOW_TRACKING_URI\}\)/,
    );
    expect(gone.warnings.join()).not.toContain(new URL(address).host);
  });

  it('goes on with the same run when the run folder is gone on with, unless it is another server', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mlflow-'));
    const { calls, address } = await tracking();
    await sink(address, { folder }).sink.close('interrupted');
    const again = sink(address, { folder }).sink;
    again.write(step(4, { loss: 1 }));
    await again.close('finished');
    expect(calls.filter(({ path }) => path === 'runs/create').length).toBe(1);
    const statuses = calls.flatMap(({ path, body }) => (path === 'runs/update' ? [body.status] : []));
    expect(statuses).toEqual(['KILLED', 'RUNNING', 'FINISHED']);
    expect(metricsOf(calls).map(({ step }) => step)).toEqual([4, 4]);
    const other = await tracking();
    await sink(other.address, { folder }).sink.close('finished');
    expect(other.calls.map(({ path }) => path)).toContain('runs/create');
  });

  it('tries again what failed, and loses and repeats nothing', async () => {
    const tries = new Map<string, number>();
    const faults: Fault = (path, response) => {
      const count = (tries.get(path) ?? 0) + 1;
      tries.set(path, count);
      if (count === 1) response.destroy();
      else if (count === 2) response.writeHead(503).end('busy');
      return count <= 2;
    };
    const { calls, address } = await tracking({ fault: faults });
    const { sink: mlflow, warnings } = sink(address);
    for (let i = 1; i <= 10; i++) mlflow.write(step(i, { loss: i }));
    await mlflow.close('finished');
    expect(warnings).toEqual([]);
    const losses = metricsOf(calls).filter(({ key }) => key === 'loss');
    expect(losses.map(({ value }) => value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(calls.at(-1)!.body.status).toBe('FINISHED');
  });

  it('that is not there costs a run nothing but two warnings, however long it is waited for', async () => {
    const { address } = await tracking();
    for (const close of servers.splice(0)) close();
    const { sink: mlflow, warnings, clock } = sink(address);
    for (let i = 1; i <= 10; i++) mlflow.write(step(i, { loss: i }));
    await until(() => warnings.length > 0);
    let isClosed = false;
    const closing = mlflow.close('finished').then(() => (isClosed = true));
    // A tenth of the time that one gets that has ever answered.
    clock.advance(waits.close / 10 - 1);
    const tries = clock.waits.length;
    await until(() => clock.waits.length > tries + 3);
    expect(isClosed).toBe(false);
    clock.advance(1);
    await closing;
    expect(clock.waits.filter((ms) => ms < waits.close / 10).slice(0, 6)).toEqual([5, 10, 20, 20, 20, 20]);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/ECONNREFUSED.*the run goes on, it is tried again/);
    expect(warnings[1]).toMatch(/^20 numbers of this run were not sent/);
  });

  it('that comes back gets everything', async () => {
    const first = await tracking();
    const port = Number(new URL(first.address).port);
    for (const close of servers.splice(0)) close();
    const { sink: mlflow, clock } = sink(first.address);
    for (let i = 1; i <= 10; i++) mlflow.write(step(i, { loss: i }));
    await until(() => clock.waits.includes(waits.longest));
    const second = await tracking({ port });
    await mlflow.close('finished');
    expect(metricsOf(second.calls).filter(({ key }) => key === 'loss')).toHaveLength(10);
  });

  it('that refuses is asked once', async () => {
    let requests = 0;
    const { address } = await tracking({
      fault: (_, response) => {
        requests += 1;
        response.writeHead(403).end('{"error_code":"PERMISSION_DENIED","message":"not you"}');
        return true;
      },
    });
    const { sink: mlflow, warnings } = sink(address);
    mlflow.write(step(1, { loss: 1 }));
    await mlflow.close('finished');
    expect(requests).toBe(1);
    expect(warnings[0]).toMatch(/403 PERMISSION_DENIED not you; the run goes on, nothing more is sent/);
    expect(warnings[1]).toMatch(/^2 numbers/);
  });
});
