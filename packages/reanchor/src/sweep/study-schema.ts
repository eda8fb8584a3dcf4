/** The keys of a study, what they may be, and their defaults. Descriptions are noun phrases, as in a recipe. */
import * as z from 'zod';

const text = z.string().min(1);
const count = z.int().min(1);
const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const values = z.record(z.string(), z.unknown());

const scoreSchema = z.union([
  text,
  z.strictObject({
    command: z.array(text).min(1).optional(),
    seconds: z.number().gt(0).optional(),
    surprise: text.optional(),
    reward: z.strictObject({ model: text, reference: text, beta: z.number().gt(0).default(0.1) }).optional(),
  }),
]);

/** A score as a study writes it. */
export type ScoreInput = z.output<typeof scoreSchema>;

const scoreText =
  'a score of an answer: an expression of afinn, length, surprise and kl such as "afinn - 0.05 * surprise", or { command: [program, arguments], seconds }, { surprise: MODEL } or { reward: { model, reference, beta } }';
const promptsText = 'the prompts: a JSONL file, or sotu or sotu-heldout, the sentences of the quickstart';
const answersText = 'the number of answers to each prompt';
const cutText = 'the number of tokens at which an answer is cut';

const baseSchema = z.union([text, values]);

const stageSchema = z.strictObject({
  corpus: z.enum(['sotu']).optional().describe('the text of an npm package, as rows to train on'),
  init: z
    .strictObject({
      text: text.describe('the text that the tokenizer is learnt from: rows with text, a stage or a file'),
      rows: count
        .optional()
        .describe('the number of rows, from the first, that the tokenizer is learnt from; all of them when left out'),
      vocabularySize: z.int().min(257).describe('the number of tokens'),
      config: values.describe('the keys of config.json, without those that the tokenizer decides'),
      seed: seed.default(1).describe('the seed of the weights'),
    })
    .optional()
    .describe('a tokenizer that is learnt from text, and a network with random weights'),
  train: baseSchema.optional().describe('the recipe that makes a model: a file, or the keys themselves'),
  sample: z
    .strictObject({
      model: text.describe('the model that writes the answers, named as in a recipe'),
      prompts: text.describe(promptsText),
      rows: count.optional().describe('the number of prompts that the seed draws; all of them when left out'),
      samples: count.default(1).describe(answersText),
      maxNewTokens: count.default(128).describe(cutText),
      seed: seed.default(1).describe('the seed of the prompts and of the answers'),
    })
    .optional()
    .describe('the answers that a model writes to prompts'),
  label: z
    .strictObject({
      answers: text.optional().describe('the answers: a stage that samples, or a file of its form'),
      score: scoreSchema.describe(scoreText),
      keep: z
        .enum(['bestAndWorst', 'allPairs'])
        .default('bestAndWorst')
        .describe('the pairs that are made of a prompt'),
      flip: z.number().min(0).max(1).default(0).describe('the share of pairs whose labels are turned round'),
      seed: seed.default(1).describe('the seed of the labels that are turned round'),
    })
    .optional()
    .describe('the pairs that a score makes of answers'),
});

/** The schema of a study; parsing applies the defaults. Unknown keys are errors at every level. */
export const studySchema = z.strictObject({
  base: baseSchema.describe('the recipe of every run: a file, or the keys themselves'),
  stages: z
    .record(z.string(), stageSchema)
    .default({})
    .describe(`the models and files that runs share, each made once, and named \${stages.NAME}`),
  replicates: z
    .strictObject({
      over: text
        .default('order')
        .describe(
          'the stage that is made anew for each seed, with all that depends on it; order for the order of rows',
        ),
      seeds: z.array(seed).min(1).describe('the list of seeds'),
    })
    .prefault({ seeds: [1] })
    .describe('the runs of one setting'),
  measure: z
    .strictObject({
      every: count.describe('the number of steps from one measurement to the next'),
      klStep: z
        .number()
        .gt(0)
        .optional()
        .describe('the nats by which the KL has to have changed since the last measurement for another one'),
      prompts: text.describe(promptsText),
      rows: count.optional().describe('the number of prompts that are drawn; all of them when left out'),
      samples: count.default(1).describe(answersText),
      maxNewTokens: count.default(128).describe(cutText),
      seed: seed.default(1).describe('the seed of the prompts and of the answers, the same for every run'),
      scores: z.record(z.string(), scoreSchema).describe('the scores of an answer, by their names'),
    })
    .describe('what the policy writes while it trains, and its scores'),
  arms: z
    .record(z.string(), values)
    .describe(
      'the arms by their names: keys of the recipe with other values, lists of values for a grid, base: an arm',
    ),
  save: z
    .enum(['none', 'ends', 'all'])
    .default('none')
    .describe('the models that are left of a finished run: none, the final one, or its checkpoints too'),
});

/** The values of a study with every default applied. */
export type StudyValues = z.output<typeof studySchema>;
export type StageValues = StudyValues['stages'][string];
