import type { AdapterConfig } from './config.js';
import type { LowRankShape } from './low-rank-shape.js';

/**
 * What vLLM and llama.cpp make of an adapter that PEFT loads, a sentence for each trouble; empty for plain LoRA of one
 * rank and alpha, which both load as it is.
 */
export function otherToolsNotes(
  modules: ReadonlyMap<string, LowRankShape>,
  { dora, modulesToSave, bias, loraBias, rslora }: AdapterConfig,
): string[] {
  const shapes = [...modules.values()];
  const isMixed = (key: 'r' | 'alpha') => new Set(shapes.map((shape) => shape[key])).size > 1;
  const notes: [boolean, string][] = [
    [dora, 'vLLM and llama.cpp refuse DoRA.'],
    [modulesToSave.length > 0, 'vLLM refuses modules that are saved whole, and llama.cpp all of them but norms.'],
    [bias !== 'none' || loraBias, 'vLLM refuses biases unless it is told to take them, and llama.cpp always.'],
    [isMixed('r'), 'vLLM gives modules of another rank than the r of the config a wrong scale.'],
    [isMixed('alpha'), 'vLLM and llama.cpp pass over alpha_pattern, and give its modules a wrong scale.'],
    [rslora, 'llama.cpp passes over use_rslora, and scales by alpha / r.'],
  ];
  return notes.filter(([applies]) => applies).map(([, note]) => note);
}
