// Follows a training run that TRL 1.13 made, step by step.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keep, type Tensor, tidy } from '@reanchor/torch';
import { expect } from 'vitest';
import { loadModel, readConfig } from '#reanchor/models/load.js';
import { adaptedMatrix } from '#reanchor/models/merged.js';
import { FolderAdapter } from '#reanchor/models/stored-adapter.js';
import { readTensors } from './tensors.js';
import { jsonLines, readTraceConfig, type TraceNumbers, type TraceOrder, traceNumbers } from './trace-run.js';

type Summary = Record<string, { norm: number; change_norm: number; sample_index: number[]; sample_value: number[] }>;
type StepLine = Record<string, number> & { micro: Record<string, number[]>[] };

/** Trains as the trace in a folder says, in this process, and compares every step and the final weights with it. */
export async function followTrace(trace: string, model: string, dtype: TraceOrder['dtype']): Promise<void> {
  const out = mkdtempSync(join(tmpdir(), 'trace-'));
  try {
    const order = { trace, model, dtype, out };
    await expectTrace(order, await traceNumbers(order));
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The numbers of a run, and the final weights that it has left, are those of its trace. */
export async function expectTrace({ trace, model, dtype, out }: TraceOrder, found: TraceNumbers): Promise<void> {
  const { suggested_tolerance_fp32: suggested, rows_dropped, start } = readTraceConfig(trace);
  if (rows_dropped !== undefined) expect(found.rowsDropped).toBe(rows_dropped);
  const lines = jsonLines<StepLine>(trace, 'steps.fp64.jsonl');
  expect(found.steps.length).toBe(lines.length);
  for (const [i, line] of lines.entries()) {
    const { metrics, rows } = found.steps[i]!;
    for (const [name, value] of Object.entries(metrics)) {
      const theirs = line[name];
      if (value === undefined || theirs === undefined) continue;
      // TRL keeps its running means in fp32, also in the float64 run.
      const tolerance = dtype === 'float32' ? (suggested[name] ?? 1e-12) : 2e-7 * Math.max(1, Math.abs(theirs));
      expect(Math.abs(value - theirs), `step ${line.step}, ${name}`).toBeLessThanOrEqual(tolerance);
    }
    for (const [theirs, ours] of Object.entries(rows)) {
      expect(ours).toBeCloseToTensor(
        line.micro.flatMap((micro) => micro[theirs]!),
        dtype === 'float32' ? 1e-5 : 1e-10,
      );
    }
  }

  if (start !== undefined) await expectAdapters({ trace, model, dtype, out });
  const final: Record<string, Summary> = JSON.parse(readFileSync(join(trace, 'final.json'), 'utf8'));
  for (const [name, summary] of Object.entries(final)) {
    if (start !== undefined) continue;
    using trained = await loadModel(join(out, name), { dtype });
    expectSummary(trained.parameters, summary, dtype === 'float32' ? 2e-5 : 2e-9);
    await expectWeights(trained.parameters, join(trace, `${name}.safetensors`));
  }
}

/**
 * Policy and reference have the matrices of the trace. Single entries of the factors are not compared: where a gradient
 * is rounding alone, Adam makes steps of it.
 */
async function expectAdapters({ trace, model, dtype, out }: TraceOrder): Promise<void> {
  const configJson = await readConfig(model);
  const loaded = async (folder: string) => {
    using adapter = await FolderAdapter.over(folder, configJson);
    return await loadModel(model, { dtype, adapter });
  };
  for (const name of ['policy', 'reference']) {
    if (!existsSync(join(trace, name, 'adapter_config.json'))) continue;
    using theirs = await loaded(join(trace, name));
    using ours = await loaded(join(out, name));
    for (const layer of theirs.lowRank.keys()) {
      const apart = tidy(() => adaptedMatrix(ours, layer).sub(adaptedMatrix(theirs, layer)).abs().max().item());
      expect(apart, `${name}, ${layer}`).toBeLessThan(2e-5);
    }
  }
  const { reference_weights: weights }: { reference_weights?: Summary } = JSON.parse(
    readFileSync(join(trace, 'final.json'), 'utf8'),
  );
  if (!weights) return;
  using reference = await loaded(join(out, 'reference'));
  const matrices = tidy(() => {
    const merged = new Map(
      [...reference.lowRank.keys()].map((layer) => [`${layer}.weight`, adaptedMatrix(reference, layer)]),
    );
    keep([...merged.values()]);
    return merged;
  });
  expectSummary(matrices, weights, dtype === 'float32' ? 2e-5 : 1e-6);
}

function expectSummary(parameters: ReadonlyMap<string, Tensor>, summary: Summary, tolerance: number): void {
  for (const [name, { norm, sample_index, sample_value }] of Object.entries(summary)) {
    const values = parameters.get(name)!.toList();
    expect(Math.abs(Math.hypot(...values) - norm), name).toBeLessThan(tolerance * Math.sqrt(values.length));
    for (const [i, index] of sample_index.entries()) {
      expect(Math.abs(values[index]! - sample_value[i]!), name).toBeLessThanOrEqual(tolerance);
    }
  }
}

async function expectWeights(parameters: ReadonlyMap<string, Tensor>, file: string): Promise<void> {
  if (!existsSync(file)) return;
  const expected = await readTensors(file);
  tidy(() => {
    for (const [name, parameter] of parameters) {
      const difference = parameter.detach().to('float64').sub(expected.get(name)!).abs().max().item();
      expect(difference, name).toBeLessThanOrEqual(2e-5);
    }
  });
  for (const tensor of expected.values()) tensor.dispose();
}
