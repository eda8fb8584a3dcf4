/**
 * A program that runs itself in several processes: `ranks-process.ts MODE COUNT PATIENCE`. The mode says what each of
 * them does; the store is a server that greets whoever connects.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcesses, tieToLauncher, type World, worldOf } from '#reanchor/launch/index.js';

const [mode = '', count, patience] = process.argv.slice(2);

const world = worldOf(process.env);
if (world?.launcher === 'reanchor') await beRank(world);
else process.exitCode = await launch();

function launch(): Promise<number> {
  return runProcesses({
    count: Number(count),
    patience: Number(patience),
    note: (line) => process.stderr.write(`${line}\n`),
    holdStore: async (port) => {
      const server = createServer((socket) => socket.end('hello'));
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      process.stderr.write(`store on ${port === 0 ? 'a free port' : port}\n`);
      return { port: (server.address() as AddressInfo).port, close: () => server.close() };
    },
  });
}

async function beRank({ rank, ...rest }: World): Promise<void> {
  const tied = tieToLauncher(Number(patience));
  if (mode === 'report') return report({ rank, ...rest });
  const say = (text: string) => process.stderr.write(`${text}\n`);
  if (mode === 'fail' && rank === 1) {
    say('words before\nthere is no more of it');
    process.exitCode = 3;
    return;
  }
  if (mode === 'kill' && rank === 1) process.kill(process.pid, 'SIGKILL');
  process.on('SIGTERM', () => {
    say('asked to stop');
    if (mode !== 'stay') process.exit(130);
  });
  say(`ready ${process.pid}`);
  // As in a collective whose peers do not come: nothing is heard any more.
  if (mode === 'block' || (mode === 'fail' && rank === 2)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  const end = () => {
    say('its last checkpoint is written');
    process.exit(130);
  };
  tied.addEventListener('abort', () => setTimeout(end, 100));
  await sleep(600_000);
}

async function report(found: World): Promise<void> {
  const socket = connect(found.port, found.host);
  let heard = '';
  for await (const piece of socket) heard += String(piece);
  const { OMP_NUM_THREADS: threads } = process.env;
  process.stdout.write(JSON.stringify({ ...found, port: typeof found.port, heard, threads, folder: process.cwd() }));
  process.stderr.write('a status\ranother');
}
