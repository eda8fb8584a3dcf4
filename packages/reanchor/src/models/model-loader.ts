import { resolve } from 'node:path';
import { type Device, type DType, tidy } from '@reanchor/torch';
import type { ModelPlace } from '../data/index.js';
import { isFactor } from '../nn/low-rank.js';
import { adaptedConfig, factorDType } from './adapter.js';
import { buildModel, copyModel } from './architectures.js';
import type { CausalLM } from './causal-lm.js';
import { loadModel } from './load.js';
import { FolderAdapter } from './stored-adapter.js';

/**
 * Loads models one after the other. The base of the last one stays until another base is asked for: models on one base
 * have its weights in common, each with its own adapter or none.
 */
export class ModelLoader implements Disposable {
  #base: { key: string; model: CausalLM } | undefined;

  constructor(private readonly options: { dtype: DType; device: Device }) {}

  /** A model, which belongs to the caller. Errors: those of {@link loadModel} and {@link FolderAdapter.over}. */
  async load({ base, adapter, quantize }: ModelPlace): Promise<CausalLM> {
    const key = `${quantize} ${resolve(base)}`;
    if (this.#base?.key !== key) {
      this[Symbol.dispose]();
      this.#base = { key, model: await loadModel(base, { ...this.options, quantize }) };
    }
    const { model } = this.#base;
    if (adapter === undefined) return copyModel(model, model.dtype, (name) => model.parameters.get(name));
    using stored = await FolderAdapter.over(adapter, model.configJson);
    return withAdapter(model, stored);
  }

  [Symbol.dispose](): void {
    this.#base?.model[Symbol.dispose]();
    this.#base = undefined;
  }
}

/** A model of its own with an adapter on it: what the adapter leaves as it is stays in the memory of the base. */
function withAdapter(base: CausalLM, adapter: FolderAdapter): CausalLM {
  const { configJson, parameters, quantized, head_VD, device } = base;
  const place = { dtype: factorDType(base.dtype), device };
  return tidy(() =>
    buildModel(adaptedConfig(configJson, adapter), {
      parameter(name) {
        if (isFactor(name)) return adapter.trained(name, place)!;
        // A head that the adapter has made another than the embedding begins as that.
        const own = parameters.get(name) ?? head_VD;
        const patched = adapter.patched(name, own);
        return patched === own ? own.detach() : patched;
      },
      quantized: (name) => (adapter.whole.includes(name) ? undefined : quantized.get(name)?.share()),
      lowRank: (layer) => adapter.lowRank(layer),
    }).keep(),
  );
}
