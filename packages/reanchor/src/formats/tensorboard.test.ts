import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c, EventFileWriter, eventFileName } from './tensorboard.js';

// A reader that shares nothing with the writer: bit by bit checksums, a general walk over protocol buffer fields.
function bitwiseCrc(data: Uint8Array): number {
  let register = 0xffffffffn;
  for (const byte of data) {
    register ^= BigInt(byte);
    for (let i = 0; i < 8; i++) register = register & 1n ? (register >> 1n) ^ 0x82f63b78n : register >> 1n;
  }
  return Number(register ^ 0xffffffffn);
}

function unmasked(stored: number): number {
  const rotated = (BigInt(stored) - 0xa282ead8n) & 0xffffffffn;
  return Number(((rotated >> 17n) | (rotated << 15n)) & 0xffffffffn);
}

function records(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(bitwiseCrc(file.subarray(at, at + 8))).toBe(unmasked(file.readUInt32LE(at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(bitwiseCrc(data)).toBe(unmasked(file.readUInt32LE(at + 12 + length)));
    found.push(data);
    at += length + 16;
  }
  return found;
}

type Field = { number: number; value: number | Buffer };

function fields(message: Buffer): Field[] {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  const found: Field[] = [];
  while (at < message.length) {
    const tag = varint();
    const number = tag >> 3;
    const type = tag & 7;
    if (type === 0) {
      found.push({ number, value: varint() });
      continue;
    }
    const length = type === 1 ? 8 : type === 5 ? 4 : varint();
    const data = message.subarray(at, at + length);
    at += length;
    found.push({ number, value: type === 1 ? data.readDoubleLE() : type === 5 ? data.readFloatLE() : data });
  }
  return found;
}

const field = (message: Buffer, number: number) => fields(message).find((one) => one.number === number)?.value;

test('an independent reader finds what was written', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'tensorboard-')), eventFileName(new Date(1.7e12), 'a host'));
  expect(path).toMatch(/events\.out\.tfevents\.1700000000\.a_host$/);
  const events = [
    { time: 1.7e9 + 0.25, step: 0, scalars: { 'rewards/margins': 0 } },
    { time: 1.7e9 + 0.5, step: 1, scalars: { loss: Math.LN2, 'rewards/chosen': -1e-3, ünïcode: 3 } },
    { time: 1.7e9 + 1, step: 2 ** 40 + 3, scalars: { loss: Number.NaN, grad_norm: Number.POSITIVE_INFINITY } },
    { time: 1.7e9 + 2, step: 128, scalars: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`m${i}`, i])) },
  ];
  {
    using writer = new EventFileWriter(path, { time: new Date(1.7e12) });
    for (const event of events) writer.write(event);
  }
  const [head, ...rest] = records(readFileSync(path));
  expect(field(head!, 1)).toBe(1.7e9);
  expect(String(field(head!, 3))).toBe('brain.Event:2');
  const read = rest.map((message) => ({
    time: field(message, 1),
    step: field(message, 2),
    scalars: Object.fromEntries(
      fields(field(message, 5) as Buffer).map(({ value }) => [
        String(field(value as Buffer, 1)),
        field(value as Buffer, 2),
      ]),
    ),
  }));
  const float32 = (scalars: object) =>
    Object.fromEntries(Object.entries(scalars).map(([tag, value]) => [tag, Math.fround(value)]));
  expect(read).toEqual(events.map((event) => ({ ...event, scalars: float32(event.scalars) })));
});

test('a run that was resumed says from which step on', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'tensorboard-')), 'events');
  new EventFileWriter(path, { restartsAt: 300 })[Symbol.dispose]();
  const [, restart] = records(readFileSync(path));
  expect(field(restart!, 2)).toBe(300);
  // SessionLog.SessionStatus.START
  expect(fields(field(restart!, 7) as Buffer)).toEqual([{ number: 1, value: 1 }]);
});

test('checksums are those of RFC 3720, B.4', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

test('a file that is there is never written over', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'tensorboard-')), 'events');
  new EventFileWriter(path)[Symbol.dispose]();
  expect(() => new EventFileWriter(path)).toThrow('EEXIST');
});
