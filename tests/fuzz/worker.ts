// Reads broken inputs one after the other, in a process that may be killed at any of them. Run with tsx; arguments: the
// options of a part as JSON. Writes the number of the input under way into the file `heartbeat`, findings and the
// summary to stdout as JSON lines.
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Reader, readOne } from './reader.js';

/** Some inputs of one reader. */
export interface Part {
  reader: string;
  seed: number;
  first: number;
  /** One more than the last. */
  end: number;
  heartbeat: string;
  /** The file beside this one that has the readers. */
  table: string;
  /** Where readers leave temporary files. tsx has begun in that of all processes, which keeps what it compiles. */
  temporary: string;
}

/** What such a file exports. */
export interface Table {
  readers: Readonly<Record<string, Reader>>;
  inputOf(reader: string, seed: number, index: number): Buffer;
}

export type Report =
  | { kind: 'finding'; index: number; what: string }
  | { kind: 'done'; accepted: number; refused: number; slowestMs: number; slowest: number };

async function main({ reader: name, seed, first, end, heartbeat, table, temporary }: Part): Promise<void> {
  process.env.TMPDIR = temporary;
  const { readers, inputOf } = (await import(`./${table}`)) as Table;
  const reader = readers[name]!;
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const say = (report: Report) => writeSync(1, `${JSON.stringify(report)}\n`);
  let beat = openSync(heartbeat, 'w');
  const done = { kind: 'done' as const, accepted: 0, refused: 0, slowestMs: 0, slowest: first };
  await reader.prepare?.();
  try {
    for (let index = first; index < end; index++) {
      const bytes = inputOf(name, seed, index);
      writeSync(beat, String(index).padEnd(12), 0);
      const begin = process.cpuUsage();
      try {
        const refused = await readOne(reader, bytes, folder);
        if (refused === undefined) done.accepted++;
        else done.refused++;
      } catch (error) {
        say({
          kind: 'finding',
          index,
          what: (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, 1500),
        });
      }
      // Of processor time, as the watchdog counts it: a busy machine is no reason.
      const { user, system } = process.cpuUsage(begin);
      const ms = (user + system) / 1000;
      if (ms > done.slowestMs) Object.assign(done, { slowestMs: ms, slowest: index });
      if ((index - first) % 500 === 499) {
        // What readers leave behind must not be the memory of the process.
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder);
      }
    }
    say(done);
  } finally {
    closeSync(beat);
    beat = -1;
    rmSync(folder, { recursive: true, force: true });
  }
}

const [, program = '', part = ''] = process.argv;
if (program.endsWith('fuzz/worker.ts')) await main(JSON.parse(part) as Part);
