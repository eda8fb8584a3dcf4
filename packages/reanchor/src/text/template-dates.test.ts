import { expect, test } from 'vitest';
import { writtenMoments } from './template-dates.js';

const now = new Date(2026, 10, 30, 9, 5, 7);
const later = new Date(2026, 10, 30, 23, 59, 59);
const llama3 = '{%- if strftime_now is defined %}{%- set date = strftime_now("%d %b %Y") %}{%- endif %}{{ date }}';

test('of a moment counts what the formats of a template write of it', () => {
  expect(writtenMoments([llama3], now)).toEqual(['30 Nov 2026']);
  expect(writtenMoments([llama3], later)).toEqual(writtenMoments([llama3], now));
  expect(writtenMoments(["{{ strftime_now('%H') }}", 'no date'], now)).toEqual(['09']);
  expect(writtenMoments(['{% if strftime_now is not defined %}x{% endif %}', ''], now)).toEqual([]);
});

test('of a template that asks in another way the moment itself', () => {
  for (const source of [
    '{{ strftime_now(format) }}',
    "{{ strftime_now('%d' + '%m') }}",
    '{% set f = strftime_now %}{{ f("%d") }}',
    String.raw`{{ strftime_now('\'%d') }}`,
  ]) {
    expect(writtenMoments([source], now), source).toEqual([now.toISOString()]);
  }
});
