import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { placesOf, promptKeys, promptText } from './prompts.js';

const user = (content: string) => [{ role: 'user', content }];
const keysOf = (prompts: Parameters<typeof promptKeys>[0][]) => prompts.map(promptKeys);
const places = (wanted: Parameters<typeof keysOf>[0], among: Parameters<typeof keysOf>[0]) =>
  placesOf(keysOf(wanted), keysOf(among));

describe('rows are matched by their prompts', () => {
  test('whatever their order, with gaps on either side', () => {
    expect(places(['c', 'a', 'x'], ['a', 'b', 'c'])).toEqual([2, 0, -1]);
    expect(places([], ['a'])).toEqual([]);
    expect(places(['a'], [])).toEqual([-1]);
  });

  test('one that occurs several times in order, and no more often than it is there', () => {
    expect(places(['a', 'a', 'b', 'a'], ['b', 'a', 'a'])).toEqual([1, 2, 0, -1]);
  });

  test('white space tells prompts apart only where both files have both', () => {
    const [spaced, plain] = ['def f():\n    return  1\n', 'def f(): return 1'];
    expect(places([plain, spaced], [spaced, plain])).toEqual([1, 0]);
    expect(places([plain], [spaced])).toEqual([0]);
    expect(places([plain, plain], [spaced, plain])).toEqual([1, 0]);
    expect(places(['a b'], ['ab'])).toEqual([-1]);
  });

  test('a text is a message of the user, a transcript its turns; another role or turn is another prompt', () => {
    expect(places(['Hi', 'Ho'], [user('Ho'), user('Hi ')])).toEqual([1, 0]);
    const chat = [...user('One?'), { role: 'assistant', content: 'Two.' }, ...user('Three?')];
    expect(places(['\n\nHuman: One?\n\nAssistant: Two.\n\nHuman: Three?\n\nAssistant:'], [chat])).toEqual([0]);
    expect(places([user('One?')], [chat])).toEqual([-1]);
    expect(places([[{ role: 'system', content: 'Hi' }]], ['Hi'])).toEqual([-1]);
  });

  test('of any rows in any order each finds its own', () => {
    const prompt = fc.constantFrom('a', 'a ', ' a', 'b', 'b\n\nc', 'b c', 'é', '');
    fc.assert(
      fc.property(fc.array(prompt, { maxLength: 20 }), fc.infiniteStream(fc.nat()), (prompts, dice) => {
        const order = prompts.map((_, i) => [dice.next().value!, i] as const).sort(([x, i], [y, j]) => x - y || i - j);
        const among = order.map(([, i]) => prompts[i]!);
        const found = places(prompts, among);
        expect(found.map((place) => among[place])).toEqual(prompts);
        expect(new Set(found).size).toBe(prompts.length);
      }),
    );
  });
});

test('a prompt reads as its one question, or with the role of every turn', () => {
  expect(promptText('as it stands ')).toBe('as it stands ');
  expect(promptText(user('Why?'))).toBe('Why?');
  const chat = [{ role: 'system', content: 'Be brief.' }, ...user('Why?'), { role: 'assistant', content: 'So.' }];
  expect(promptText([...chat, ...user('How?')])).toBe(
    'System: Be brief.\n\nUser: Why?\n\nAssistant: So.\n\nUser: How?',
  );
});
