// Adapters in folders, with numbers of no meaning.
import type { TensorToWrite } from '../../formats/index.js';
import { parseAdapterConfig } from '../config.js';
import { rewrittenConfigJson } from '../config-json.js';
import { prefix } from '../names.js';
import { writeAdapter } from '../write.js';

/** Tensors to be written: their shapes by name, after PEFT's prefix. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** Tensors of these shapes, each of whose bytes is `fill`. */
export const tensorsOf = (shapes: Shapes, { dtype = 'F32', fill = 1 } = {}): TensorToWrite[] =>
  Object.entries(shapes).map(([name, shape]) => {
    const bytes = shape.reduce((product, size) => product * size, { F32: 4, BF16: 2, I8: 1 }[dtype] ?? 1);
    return {
      name: name.startsWith('=') ? name.slice(1) : prefix + name,
      dtype,
      shape,
      bytes: () => new Uint8Array(bytes).fill(fill),
    };
  });

/** Factors of rank `r` of modules, by the sizes of their inputs and outputs. */
export const factorsOf = (modules: Readonly<Record<string, readonly [number, number]>>, r = 2): Shapes =>
  Object.fromEntries(
    Object.entries(modules).flatMap(([module, [inputs, outputs]]) => [
      [`${module}.lora_A.weight`, [r, inputs]],
      [`${module}.lora_B.weight`, [outputs, r]],
    ]),
  );

/** Writes an adapter of these keys, which need not be right, and of tensors. */
export async function writeFolder(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  tensors: readonly TensorToWrite[],
): Promise<void> {
  const whole = rewrittenConfigJson(parseAdapterConfig({}, 'none'));
  await writeAdapter(folder, { config: { ...whole, ...config }, tensors });
}
