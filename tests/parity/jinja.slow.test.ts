// Our Jinja beside Jinja2 itself. Needs a Python with transformers and trl, which REANCHOR_PYTHON names.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChatTemplate } from '#reanchor/text/chat-template.js';
import { TemplateError } from '#reanchor/text/jinja/index.js';
import { chats, now, optionsOf, renderSource, statements } from '#reanchor/text/jinja/testing/vectors.js';
import { hashOf, hasOracle, jinjaResults, type Outcome, trlTemplates } from '../support/jinja-oracle.js';
import { dataFolder } from '../support/repository.js';
import { expression, template, variables } from './jinja-grammar.js';

const withOracle = describe.skipIf(!hasOracle);

/** What a template writes, or the kind and message of what it raises. */
function outcome(render: () => string): Outcome {
  try {
    return render();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return [error.kind, error.message];
  }
}

/** Whether two outcomes are the same text, or the same kind of error; a template's own words have to be equal too. */
function isSame(here: Outcome, there: Outcome): boolean {
  if (typeof here === 'string' || typeof there === 'string') return here === there;
  return here[0] === there[0] && (there[0] !== 'TemplateError' || here[1] === there[1]);
}

const read = (source: string) => ChatTemplate.of(source, { specialTokens: chats.special_tokens });
const given = { ...chats.special_tokens, tools: null, documents: null, add_generation_prompt: false };

withOracle('the 63 chat templates of TRL 1.13', () => {
  const sources = hasOracle ? trlTemplates() : {};
  const names = Object.keys(sources);
  const templates = Object.values(sources);

  test('on 26 chats: 1,638 of 1,638 equal, refusals among them', () => {
    const lots = chats.chats.map(({ messages, tools, documents = null, add_generation_prompt = false, variables }) => {
      const known = tools === undefined ? null : chats.tools.slice(0, tools);
      return { ...given, messages, tools: known, documents, add_generation_prompt, ...variables };
    });
    const cases = templates.flatMap((_, t) => lots.map((_, v) => [t, v] as const));
    const there = jinjaResults({ templates, variables: lots, cases, now: statements.now });
    const ours = templates.map(read);
    const refused: Record<string, number> = {};
    const different = cases.filter(([t, v], i) => {
      const chat = chats.chats[v]!;
      const here = outcome(() => ours[t]!.render(chat.messages, optionsOf(chat)));
      if (typeof here !== 'string') refused[`${names[t]}: ${here[0]}`] = (refused[`${names[t]}: ${here[0]}`] ?? 0) + 1;
      return !isSame(here, there[i]!);
    });
    console.log('refused by both', refused);
    expect(names.length).toBe(63);
    expect(cases.length).toBe(1638);
    expect(different.map(([t, v]) => `${names[t]} on chat ${v}`)).toEqual([]);
  });

  test.skipIf(!dataFolder)('on 1,092 rows of kto-mix and 3,000 of RMB: no row with another text', () => {
    const all = [...ktoMix(dataFolder!), ...rmb(dataFolder!, 3000)];
    const counts: Record<string, number> = {};
    for (const [t, source] of templates.entries()) {
      const cases = all.map((_, v) => [0, v] as const);
      const lots = all.map((messages) => ({ ...given, messages }));
      const there = jinjaResults({ templates: [source], variables: lots, cases, hashed: true, now: statements.now });
      const ours = read(source);
      const isDifferent = all.map((messages, v) => {
        const here = outcome(() => ours.render(messages, { now }));
        return !isSame(typeof here === 'string' ? hashOf(here) : here, there[v]!);
      });
      counts[names[t]!] = isDifferent.filter(Boolean).length;
    }
    expect(all.length).toBe(4092);
    expect(counts).toEqual(Object.fromEntries(names.map((name) => [name, 0])));
  });
});

const rowsOf = (folder: string, name: string) =>
  gunzipSync(readFileSync(join(folder, 'preference', name)))
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const chatOf = (...contents: unknown[]) =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content: String(content) }));

const ktoMix = (folder: string) =>
  rowsOf(folder, 'kto-mix-test.jsonl.gz').map(({ instruction, output }) => chatOf(instruction, output));

const rmb = (folder: string, count: number) =>
  rowsOf(folder, 'rmb-pairwise.jsonl.gz')
    .slice(0, count)
    .map(({ conversation_input, chosen }) => {
      const turns = conversation_input as { role: string; content: string }[];
      return [...turns, { role: 'assistant', content: (chosen as { answer: string }).answer }];
    });

/** Sources, of which those are left out that one side ends for their size or time, or that print addresses. */
function compare(sources: readonly string[]): { compared: number; different: object[] } {
  const cases = sources.map((_, t) => [t, 0] as const);
  const there = jinjaResults({ templates: sources, variables: [variables], cases, now: statements.now });
  const results = sources.map((source, i) => ({
    source,
    here: renderSource(source, [variables])[0]!,
    there: there[i]!,
  }));
  const ended = ['LimitError', 'Unsupported', 'MemoryError', 'RecursionError', 'Slow', 'OverflowError'];
  const compared = results.filter(
    (one) => ![one.here, one.there].some((side) => Array.isArray(side) && ended.includes(side[0])),
  );
  return { compared: compared.length, different: compared.filter((one) => !isSame(one.here, one.there)) };
}

withOracle('random templates', () => {
  test('of 20,000 expressions give what they give in Jinja2', () => {
    const sources = fc.sample(expression, { numRuns: 20_000, seed: 1 }).map((one) => `{{ ${one} }}`);
    const { compared, different } = compare(sources);
    expect(compared).toBeGreaterThan(15_000);
    expect(different).toEqual([]);
  });

  test('of 20,000 lots of statements give what they give in Jinja2', () => {
    const { compared, different } = compare(fc.sample(template, { numRuns: 20_000, seed: 2 }));
    expect(compared).toBeGreaterThan(19_000);
    expect(different).toEqual([]);
  });
});
