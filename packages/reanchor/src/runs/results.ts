/** Files of results that the dashboard shows: win rates between models, and the toy experiment. */
import * as z from 'zod';

/** The dashboard shows no larger file of results, in bytes. */
export const mostResultBytes = 64 << 20;

const share = z.number().min(0).max(1);
const count = z.int().min(0);

/** One prompt, what both models wrote, and what came of it; no outcome without a verdict. */
const comparedRowSchema = z.object({
  prompt: z.string(),
  answer: z.string(),
  other: z.string(),
  outcome: z.enum(['win', 'tie', 'loss']).nullish(),
  /** Whether the judge said the same with the answers in the other order. */
  agree: z.boolean().nullish(),
  verdicts: z.array(z.object({ label: z.string().nullish(), text: z.string().nullish() })).default([]),
});

const modelPairSchema = z.object({
  /** Names among `names`. */
  model: z.string(),
  other: z.string(),
  /** Rows with a verdict: those that `model` won, that neither won, that `other` won. */
  n: count,
  wins: count,
  ties: count,
  losses: count,
  /** (wins + ties / 2) / n, and an interval for it. */
  winRate: share,
  bootstrap: z.object({ low: z.number(), high: z.number() }),
  /** The rows that are worth reading; none when left out. */
  rows: z.array(comparedRowSchema).default([]),
});

/** What `reanchor eval winrate --json` writes. Keys besides these are allowed and are not shown. */
export const winRateDocumentSchema = z.object({
  evaluation: z.literal('winrate'),
  settings: z.object({
    /** The judge's model. */
    model: z.string().default('an unknown judge'),
    /** Hashes of templates by their names. */
    templates: z.record(z.string(), z.string()).default({}),
    /** The share of intervals that hold the true value. */
    level: share.default(0.95),
    prompts: count.optional(),
  }),
  names: z.array(z.string()).min(2),
  pairs: z.array(modelPairSchema).min(1),
});

/** What `reanchor eval winrate` writes. */
export type WinRateDocument = z.output<typeof winRateDocumentSchema>;

const curve = z.object({ mean: z.array(z.number()), low: z.array(z.number()), high: z.array(z.number()) });
const curveNames = [
  'chosen',
  'rejected',
  'ood',
  'chosenLogprob',
  'rejectedLogprob',
  'klSft',
  'klReference',
  'margin',
  'weight',
  'loss',
  'curvature',
] as const;

/** What `reanchor toy --json` writes. */
export const toyResultSchema = z.object({
  method: z.string(),
  beta: z.number(),
  seeds: z.int(),
  steps: z.int(),
  summaries: z.array(
    z.object({
      variant: z.string(),
      chosen: z.number(),
      chosenError: z.number(),
      rejected: z.number(),
      ood: z.number(),
      worstChosen: z.number(),
      peakOod: z.number(),
      klSft: z.number(),
    }),
  ),
  curves: z.array(z.object({ variant: z.string(), steps: z.array(z.number()) }).extend(curvesOf())),
});

/** What `reanchor toy` writes. */
export type ToyResult = z.output<typeof toyResultSchema>;

function curvesOf() {
  return Object.fromEntries(curveNames.map((name) => [name, curve])) as Record<
    (typeof curveNames)[number],
    typeof curve
  >;
}
