/** The study of the quickstart, as a text that `reanchor sweep` reads as well. */
import { documentation } from '../version.js';

type QuickstartSize = 'full' | 'fast';

interface Size {
  model: { vocabularySize: number; width: number; feedForward: number; layers: number; heads: number };
  /** Passages that the tokenizer is learnt from. */
  tokenizerRows: number;
  sft: { steps: number; batchSize: number; maxLength: number };
  pairs: { prompts: number; samples: number; maxNewTokens: number };
  preference: { steps: number; batchSize: number };
  measure: { every: number; prompts: number };
  /** Sets of pairs. */
  replicates: number;
}

/** The experiment of minutes, and the one of seconds, which is the same but too small to mean anything. */
const sizes: Readonly<Record<QuickstartSize, Size>> = {
  full: {
    model: { vocabularySize: 1024, width: 128, feedForward: 344, layers: 4, heads: 4 },
    tokenizerRows: 3000,
    sft: { steps: 500, batchSize: 32, maxLength: 96 },
    pairs: { prompts: 400, samples: 6, maxNewTokens: 24 },
    preference: { steps: 150, batchSize: 16 },
    measure: { every: 30, prompts: 256 },
    replicates: 5,
  },
  fast: {
    model: { vocabularySize: 400, width: 64, feedForward: 160, layers: 2, heads: 4 },
    tokenizerRows: 300,
    sft: { steps: 60, batchSize: 16, maxLength: 64 },
    pairs: { prompts: 60, samples: 4, maxNewTokens: 16 },
    preference: { steps: 10, batchSize: 8 },
    measure: { every: 5, prompts: 32 },
    replicates: 2,
  },
};

export interface StudyOptions {
  size: QuickstartSize;
  /** Of the model's first weights, and of the first set of pairs; the others have the numbers after it. */
  seed: number;
  /** CPU threads of the SFT, which nothing runs beside. */
  threads: number;
}

/** The arm that the others are compared with. */
export const baseArm = 'DPO';

/**
 * A study in YAML: a Llama with a tokenizer of its own learns from nothing to write like presidents; of its samples the
 * most and the least positive ones by AFINN are pairs; DPO, TR-DPO soft with a cap and hard train on the same sets.
 */
export function quickstartStudy({ size, seed, threads }: StudyOptions): string {
  const { pairs, preference, measure, replicates } = sizes[size];
  const seeds = Array.from({ length: replicates }, (_, i) => seed + i);
  const tau = Math.round(preference.steps / 3);
  return `# The study of reanchor quickstart: ${documentation('guide/sweep.md')} says what it means.
base:
  model: "\${stages.sft}"
  method: dpo
  data: { train: "\${stages.pairs}", format: explicit }
  batch: { size: ${preference.batchSize} }
  optimizer: { lr: 3e-4, betas: [0.9, 0.95] }
  schedule: { type: linear, warmupSteps: 10 }
  steps: ${preference.steps}
  checkpoint: { every: never }
  device: cpu
stages:
${modelStages(sizes[size], { seed, threads })}
  pairs:
    sample:
      model: "\${stages.sft}"
      prompts: sotu
      rows: ${pairs.prompts}
      samples: ${pairs.samples}
      maxNewTokens: ${pairs.maxNewTokens}
    label: { score: afinn, keep: bestAndWorst }
replicates: { over: pairs, seeds: [${seeds.join(', ')}] }
measure:
  every: ${measure.every}
  prompts: sotu-heldout
  rows: ${measure.prompts}
  maxNewTokens: ${pairs.maxNewTokens}
  scores: { gold: afinn, surprise: surprise }
arms:
  ${baseArm}: { loss.beta: 0.1 }
  TR-DPO-soft: { loss.beta: 0.3, reference: { update: soft, alpha: 0.6, maxDivergence: 0.2 } }
  TR-DPO-hard: { loss.beta: 0.3, reference: { update: hard, tau: ${tau} } }
save: ends
`;
}

/** The stages that make a model from nothing, and teach it to write. */
function modelStages({ tokenizerRows, model, sft }: Size, { seed, threads }: Omit<StudyOptions, 'size'>): string {
  return `  text: { corpus: sotu }
  start:
    init:
      text: "\${stages.text}"
      rows: ${tokenizerRows}
      vocabularySize: ${model.vocabularySize}
      seed: ${seed}
      config:
        model_type: llama
        hidden_size: ${model.width}
        intermediate_size: ${model.feedForward}
        num_hidden_layers: ${model.layers}
        num_attention_heads: ${model.heads}
        num_key_value_heads: ${model.heads}
        max_position_embeddings: 256
        rms_norm_eps: 1e-5
        rope_theta: 10000
        tie_word_embeddings: true
  sft:
    train:
      model: "\${stages.start}"
      method: sft
      data: { train: "\${stages.text}", maxLength: ${sft.maxLength}, loss: full }
      batch: { size: ${sft.batchSize} }
      optimizer: { lr: 3e-3, betas: [0.9, 0.95] }
      schedule: { type: linear, warmupSteps: 20 }
      steps: ${sft.steps}
      checkpoint: { every: never }
      device: cpu
      threads: ${threads}
      seed: ${seed}`;
}
