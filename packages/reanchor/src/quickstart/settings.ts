import type { ReferenceOptions } from '../recipe/index.js';

/** The size of the experiment. */
export interface QuickstartSettings {
  model: { vocabularySize: number; width: number; feedForward: number; layers: number; heads: number };
  /** Passages that the tokenizer is learnt from. */
  tokenizerPassages: number;
  sft: { steps: number; batchSize: number; maxLength: number; lr: number };
  /** Prompts for pairs, completions sampled of each, and tokens of a completion. */
  pairs: { prompts: number; samples: number; maxNewTokens: number };
  preference: { steps: number; batchSize: number; lr: number; beta: number };
  /** Held-out prompts, and steps from one measurement to the next. */
  measure: { prompts: number; every: number };
}

/** The experiment of minutes, and the one of seconds, which is the same but too small to mean anything. */
export const quickstartSettings: Readonly<Record<'full' | 'fast', QuickstartSettings>> = {
  full: {
    model: { vocabularySize: 1024, width: 128, feedForward: 344, layers: 4, heads: 4 },
    tokenizerPassages: 3000,
    sft: { steps: 500, batchSize: 32, maxLength: 96, lr: 3e-3 },
    pairs: { prompts: 800, samples: 6, maxNewTokens: 24 },
    preference: { steps: 150, batchSize: 32, lr: 3e-4, beta: 0.1 },
    measure: { prompts: 256, every: 25 },
  },
  fast: {
    model: { vocabularySize: 400, width: 64, feedForward: 160, layers: 2, heads: 4 },
    tokenizerPassages: 300,
    sft: { steps: 60, batchSize: 16, maxLength: 64, lr: 3e-3 },
    pairs: { prompts: 100, samples: 4, maxNewTokens: 16 },
    preference: { steps: 20, batchSize: 16, lr: 3e-4, beta: 0.1 },
    measure: { prompts: 48, every: 10 },
  },
};

/** What is compared, all from the same start on the same pairs. */
export const quickstartVariants = (steps: number): { name: string; folder: string; reference: ReferenceOptions }[] => [
  { name: 'DPO', folder: 'dpo', reference: { update: 'fixed' } },
  { name: 'TR-DPO soft, alpha = 0.6', folder: 'tr-dpo-soft', reference: { update: 'soft', alpha: 0.6 } },
  {
    name: `TR-DPO hard, tau = ${Math.max(1, Math.round(steps / 5))}`,
    folder: 'tr-dpo-hard',
    reference: { update: 'hard', tau: Math.max(1, Math.round(steps / 5)) },
  },
];
