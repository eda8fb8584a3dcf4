import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, randn, tidy } from '@reanchor/torch';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nf4Source } from '../../../../tests/support/nf4-source.js';
import { FormatError } from '../errors.js';
import { type TensorToWrite, writeSafetensors } from '../formats/index.js';
import { Nf4Weight } from '../nn/nf4-weight.js';
import { findNf4, type Nf4Source } from './nf4-folder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nf4-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const name = 'model.layers.0.mlp.down_proj.weight';
const stateSuffix = '.quant_state.bitsandbytes__nf4';
const config = { quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true } };
const storedNames: Record<string, string> = { uint8: 'U8', float32: 'F32' };

/** The tensors of a weight, by what is added to its name. */
type Stored = Record<string, Omit<TensorToWrite, 'name'>>;

function storedOf(weight: Nf4Weight): Stored {
  return tidy(() =>
    Object.fromEntries(
      [...weight.tensors()].map(([suffix, part]) => {
        const bytes = part.view([-1]).view('uint8').data() as Uint8Array;
        return [suffix, { dtype: storedNames[part.dtype]!, shape: part.shape, bytes: () => bytes }];
      }),
    ),
  );
}

/** A checkpoint that has these tensors, as a loader asks for them. */
async function sourceOf(stored: Stored, configJson: Nf4Source['configJson'] = config): Promise<Nf4Source> {
  const others = { dtype: 'BF16', shape: [2], bytes: () => new Uint8Array(4) };
  const file = join(folder, 'model.safetensors');
  const tensors = Object.entries(stored).map(([suffix, value]) => ({ ...value, name: name + suffix }));
  await writeSafetensors(file, [...tensors, { ...others, name: 'model.norm.weight' }]);
  return nf4Source(folder, configJson);
}

const made = (isDoubled: boolean, shape = [10, 26]) =>
  tidy(() => Nf4Weight.quantize(randn(shape).to('bfloat16'), { isDoubled }).keep());

const jsonOf = (stored: Stored) => JSON.parse(Buffer.from(stored[stateSuffix]!.bytes() as Uint8Array).toString());

/** The same with another state. */
function withState(stored: Stored, change: Record<string, unknown> | string): Stored {
  const text = typeof change === 'string' ? change : JSON.stringify({ ...jsonOf(stored), ...change });
  const bytes = Buffer.from(text);
  return { ...stored, [stateSuffix]: { dtype: 'U8', shape: [bytes.length], bytes: () => bytes } };
}

describe.each([false, true])('a weight that was written (doubled: %s)', (isDoubled) => {
  test.each([
    [10, 26],
    [3, 5],
    [64, 96],
  ])('is read back to the bit, of shape [%i, %i]', async (...shape) => {
    using weight = made(isDoubled, shape);
    const source = await sourceOf(storedOf(weight));
    const { liveTensors } = memory();
    const stored = findNf4(name, source)!;
    expect(stored.shape).toEqual(shape);
    const beside = [...source.checkpoint.keys()].filter((key) => key !== name && key !== 'model.norm.weight');
    expect([...stored.sideNames].sort()).toEqual(beside.sort());
    tidy(() => {
      const read = stored.read();
      expect([read.shape, read.dtype, read.bytes]).toEqual([shape, 'bfloat16', weight.bytes]);
      const again = read.tensors();
      for (const [suffix, part] of weight.tensors()) {
        expect(again.get(suffix)!.toList(), suffix).toEqual(part.toList());
      }
      for (const dtype of ['bfloat16', 'float32'] as const) {
        const dense = stored.dense({ dtype });
        expect([dense.shape, dense.dtype, dense.toList()]).toEqual([shape, dtype, weight.dense().toList()]);
      }
    });
    expect(memory().liveTensors).toBe(liveTensors);
  });
});

test('codes under the name of another dtype, as FSDP has them, are read', async () => {
  using weight = made(true, [8, 16]);
  const stored = storedOf(weight);
  const source = await sourceOf({ ...stored, '': { ...stored['']!, dtype: 'BF16', shape: [32, 1] } });
  tidy(() => expect(findNf4(name, source)!.read().dense().toList()).toEqual(weight.dense().toList()));
});

test('a weight in a floating dtype, and one that is not there, are no NF4 weights', async () => {
  using weight = made(true);
  const source = await sourceOf(storedOf(weight), { quantization_config: { quant_method: 'gptq' } });
  expect(findNf4('model.norm.weight', source)).toBeUndefined();
  expect(findNf4('model.layers.0.mlp.up_proj.weight', source)).toBeUndefined();
});

describe('what cannot be read is refused with file, tensor and a way out', () => {
  const stored = () => {
    using weight = made(true);
    return storedOf(weight);
  };
  const u8 = (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return { dtype: 'U8', shape, bytes: () => new Uint8Array(size) };
  };
  const without = (suffix: string) => {
    const { [suffix]: _, ...others } = stored();
    return others;
  };
  const floats = (count: number) => ({ dtype: 'F32', shape: [count], bytes: () => new Uint8Array(4 * count) });

  test.each<[string, () => Stored, RegExp, object?]>([
    [
      'fp4',
      () => ({ '': u8(130, 1), '.quant_state.bitsandbytes__fp4': u8(4) }),
      /down_proj.weight": it is stored in bitsandbytes' fp4; .* nf4 are read: take a folder that has the model in nf4/,
    ],
    [
      'another method',
      () => ({ '': { dtype: 'I32', shape: [10], bytes: () => new Uint8Array(40) } }),
      /it is stored I32, with quant_method "gptq" in config.json; of quantised weights those in bitsandbytes' nf4/,
      { quantization_config: { quant_method: 'gptq' } },
    ],
    ['8 bits', () => ({ '': { ...u8(10, 26), dtype: 'I8' } }), /it is stored I8, with quant_method "bitsandbytes"/],
    ['bytes of nothing known', () => ({ '': u8(130, 1) }), /it is stored U8, with quant_method undefined/, {}],
    ['a config of another method', stored, /with quant_method "awq"/, { quantization_config: { quant_method: 'awq' } }],
    ['no absmax', () => without('.absmax'), /has no tensor ".*down_proj.weight.absmax"; fetch the folder again/],
    ['no table', () => without('.quant_map'), /has no tensor ".*weight.quant_map"/],
    ['no nested absmax', () => without('.nested_absmax'), /has no tensor ".*weight.nested_absmax"/],
    [
      'too few codes',
      () => ({ ...stored(), '': u8(129, 1) }),
      /have 129 bytes; shape \[10, 26\] in .* 64 needs 130 bytes/,
    ],
    [
      'absmax of another size',
      () => ({ ...stored(), '.absmax': u8(6) }),
      /weight.absmax": it is U8 with 6 elements; shape \[10, 26\] in blocks of 64 needs 5 of U8/,
    ],
    ['absmax that is not quantised', () => ({ ...stored(), '.absmax': floats(5) }), /is F32 with 5 .* needs 5 of U8/],
    ['nested absmax of another size', () => ({ ...stored(), '.nested_absmax': floats(2) }), /needs 1 of F32/],
    ['a map of another size', () => ({ ...stored(), '.nested_quant_map': floats(16) }), /needs 256 of F32/],
    [
      'another table',
      () => ({ ...stored(), '.quant_map': floats(16) }),
      /is not the table of NF4, and no other is read/,
    ],
    ['a state that is no JSON', () => withState(stored(), '{'), /bitsandbytes__nf4": it is not JSON; fetch the folder/],
    ['a state that is a list', () => withState(stored(), '[]'), /it is not a JSON object/],
    ['a state without end', () => withState(stored(), ' '.repeat(65_537)), /has 65537 bytes; at most 65536 are read/],
    ['another type', () => withState(stored(), { quant_type: 'fp4' }), /quant_type is "fp4"; allowed: nf4/],
    ['no shape', () => withState(stored(), { shape: null }), /shape is null; two sizes from 1 on are needed.*anew/],
    ['a missing shape', () => withState(stored(), { shape: undefined }), /shape is undefined; two sizes/],
    ['a shape of one size', () => withState(stored(), { shape: [260] }), /shape is \[260\]; two sizes/],
    ['a shape of fractions', () => withState(stored(), { shape: [0.5, 520] }), /shape is \[0.5,520\]; two sizes/],
    ['a huge shape', () => withState(stored(), { shape: [2 ** 50, 2 ** 50] }), /its codes have 130 bytes; shape/],
    ['an odd block size', () => withState(stored(), { blocksize: 63 }), /blocksize is 63; allowed: 32, 64, 128/],
    [
      'a dtype that is none',
      () => withState(stored(), { dtype: 'int8' }),
      /dtype is "int8"; allowed: float32, bfloat16/,
    ],
    [
      'a huge nested block',
      () => withState(stored(), { nested_blocksize: 1e12 }),
      /nested_blocksize is 1000000000000; al/,
    ],
    [
      'another nested dtype',
      () => withState(stored(), { nested_dtype: 'float16' }),
      /nested_dtype is "float16"; allowed/,
    ],
    ['no offset', () => withState(stored(), { nested_offset: null }), /nested_offset is null; a finite number/],
  ])('%s', async (_name, tensors, message, configJson = config) => {
    const source = await sourceOf(tensors(), configJson as Nf4Source['configJson']);
    const read = () => tidy(() => findNf4(name, source)!.read());
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^\S*model\.safetensors, tensor "model\.layers\.0\.mlp\.down_proj\.weight/);
  });
});

test('whatever bytes of a state are changed, it is read or refused with a FormatError', async () => {
  using weight = made(true);
  const source = await sourceOf(storedOf(weight));
  const entry = source.checkpoint.get(name + stateSuffix)!;
  const valid = source.bytes(entry);
  const change = fc.tuple(
    fc.nat({ max: valid.length - 1 }),
    fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(48, 57, 45)),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Uint8Array.from(valid);
      for (const [place, byte] of changes) bytes[place] = byte;
      const changed = { ...source, bytes: (asked: typeof entry) => (asked === entry ? bytes : source.bytes(asked)) };
      tidy(() => {
        try {
          expect(findNf4(name, changed)!.dense({ dtype: 'float32' }).shape).toEqual([10, 26]);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      });
    }),
    { numRuns: 500 },
  );
});
