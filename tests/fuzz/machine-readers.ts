// What a machine leaves lying about: locks, checkpoints, run folders of another one, files that a Hub sends.
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { holderText, lockHolder, takeLock } from '@reanchor/torch/host';
import { openFile } from '#reanchor/hub/client.js';
import { sessionWith } from '#reanchor/hub/testing/session.js';
import { verifyCheckpoint } from '#reanchor/runs/checkpoints.js';
import { lockRun } from '#reanchor/runs/lock.js';
import { printed } from './filters.js';
import { ofFile, parsedParts, type Reader } from './reader.js';

const commit = 'a'.repeat(40);

/** The answer to every request for a file: `status`, `headers`, `body` of the input, or its bytes as the body. */
let server: { endpoint: string; answer: Buffer } | undefined;
async function startServer(): Promise<void> {
  const http = createServer((_request, response) => {
    const { status, headers, body } = parsedParts(server!.answer);
    response.statusCode = typeof status === 'number' && status >= 200 && status < 600 ? Math.floor(status) : 200;
    for (const [name, value] of Object.entries((headers ?? {}) as object)) {
      try {
        response.setHeader(name, String(value));
      } catch {
        // No such header can be sent.
      }
    }
    try {
      response.end(typeof body === 'string' ? body : server!.answer);
    } catch {
      response.destroy(); // Its length is not that of its header.
    }
  });
  // A body of fewer bytes than its header says is waited for until the server closes the connection.
  http.keepAliveTimeout = 100;
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  http.unref();
  server = { endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, answer: Buffer.alloc(0) };
}

export const machineReaders: Readonly<Record<string, Reader>> = {
  lock: ofFile('run.lock', 2, (file, folder) => {
    const held = lockHolder(file);
    if (held !== undefined) printed(holderText(held));
    const taken = takeLock(file);
    if (Symbol.dispose in taken) taken[Symbol.dispose]();
    else printed(holderText(taken));
    lockRun(folder)[Symbol.dispose]();
  }),
  checkpoint: {
    names: ['manifest.json', 'state.json', 'training'],
    share: 3,
    read: (bytes, folder) => {
      const own = join(folder, 'step-000004');
      rmSync(own, { recursive: true, force: true });
      const { manifest = bytes, state = bytes } = parsedParts(bytes);
      for (const [name, content] of [
        ['manifest.json', manifest],
        ['training/state.json', state],
      ] as const) {
        mkdirSync(dirname(join(own, name)), { recursive: true });
        writeFileSync(join(own, name), Buffer.isBuffer(content) ? content : JSON.stringify(content));
      }
      return verifyCheckpoint(own);
    },
  },
  'hub-file': {
    names: ['some/model', 'http://127.0.0.1'],
    share: 2,
    prepare: startServer,
    read: async (bytes) => {
      server!.answer = bytes;
      let size = 0;
      await openFile(
        sessionWith(server!.endpoint),
        { commit, path: 'a b.json', offset: 3 },
        async ({ offset, body }) => {
          if (!Number.isSafeInteger(offset)) throw new Error(`begins at ${offset}`);
          for await (const piece of body) size += piece.length;
        },
      );
      if (size > bytes.length) throw new Error(`${size} bytes of ${bytes.length}`);
    },
  },
};

/** What a manifest says of a file with this content. */
const listed = (name: string, content: unknown) => {
  const bytes = json(content);
  return { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
};
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const identity = { pid: 4, host: 'h', boot: 'b', began: '12', numbering: 'pid:[1]' };
const state = {
  step: 4,
  isEvaluationDue: false,
  eventBytes: 100,
  recipe: 'r',
  torch: '2.13.0',
  threads: 2,
  sources: { model: 'x' },
  seconds: 1.5,
  areModelsEqual: false,
  log: { steps: [{ loss: 0.5 }], tokens: 3, allTokens: 4, milliseconds: 5 },
  evaluations: [{ step: 2, metrics: { loss: 'NaN' } }],
  initialLogprobs: [[-1, '-Infinity']],
  reference: { kind: 'copied', version: 1, clock: { isStalled: false, isHalted: false, plateau: [0.5] } },
  divergences: { skipped: 0, consecutive: 0, rollbacks: 0, leftOut: [3] },
  runaway: { isFound: true, window: [{ gradNorm: 1, chosen: -2, rejected: '-Infinity' }] },
};

export const machineInputs: Readonly<Record<string, () => Buffer[]>> = {
  lock: () => [json(identity), Buffer.alloc(0), Buffer.from('1'), json({ ...identity, pid: process.pid })],
  checkpoint: () => [
    json({ manifest: { format: 1, step: 4, files: [listed('training/state.json', state)] }, state }),
    json({ manifest: { format: 1, step: 4, files: [] }, state }),
  ],
  'hub-file': () => [
    json({ status: 206, headers: { 'content-range': 'bytes 3-5/6', etag: '"x"' }, body: 'abc' }),
    json({ status: 403, headers: { 'x-error-code': 'GatedRepo', 'x-error-message': 'no access' }, body: '' }),
    json({ status: 302, headers: { location: '/x' }, body: '' }),
    json({ status: 200, headers: { 'content-encoding': 'gzip', 'content-length': '3' }, body: 'abc' }),
  ],
};

export const machineWords: Readonly<Record<string, readonly string[]>> = {
  lock: [
    '"pid":1',
    '"pid":-1',
    '"pid":1e300',
    '"pid":0.5',
    '"host":""',
    '"host":"\\u001b[2J"',
    '"began":"ended"',
    'null',
  ],
  checkpoint: [
    '"name":"../../../etc/passwd"',
    '"name":""',
    '"name":"\\u0000"',
    '"name":"."',
    '"bytes":1e15',
    '"format":2',
  ],
  'hub-file': [
    '"content-range":"bytes 99999999999999999999-"',
    '"content-range":"bytes 0-"',
    '"content-length":"99"',
    '"transfer-encoding":"chunked"',
    '"x-error-code":"RevisionNotFound"',
    '"x-error-message":"\\u009b2J"',
    '"status":416',
    '"status":308',
    '"status":204',
    '"location":"file:///etc/passwd"',
    '"location":"http://127.0.0.1:9/"',
    '"location":"//"',
  ],
};
