import { expect, test } from 'vitest';
import { strftime } from './strftime.js';

const date = new Date(2024, 1, 3, 4, 5, 6, 7);

// Values of Python 3.11 on Linux.
test.each([
  ['%d %b %Y', '03 Feb 2024'],
  ['%A, %B %-d, %Y', 'Saturday, February 3, 2024'],
  ['%a %e|%y|%C|%j|%u%w', 'Sat  3|24|20|034|66'],
  ['%H:%M:%S %I %l %p %P', '04:05:06 04  4 AM am'],
  ['%F %T %D %R', '2024-02-03 04:05:06 02/03/24 04:05'],
  ['%c|%x|%X|%r', 'Sat Feb  3 04:05:06 2024|02/03/24|04:05:06|04:05:06 AM'],
  ['%G-W%V %U %W', '2024-W05 04 05'],
  ['%^a %#b %_m %0e %-j %f', 'SAT FEB  2 03 34 007000'],
  ['%%|%n|%t|%z%Z', '%|\n|\t|'],
])('%s is %j', (format, text) => {
  expect(strftime(date, format)).toBe(text);
});

test('weeks of ISO belong to the year of their Thursday', () => {
  expect(strftime(new Date(2021, 0, 3), '%G %V %U %W')).toBe('2020 53 01 00');
  expect(strftime(new Date(2018, 11, 31), '%G %V %U %W')).toBe('2019 01 52 53');
});

test('a code that is none is an error', () => {
  expect(() => strftime(date, '%q')).toThrow('strftime_now does not know %q');
  expect(() => strftime(date, '50%')).toThrow('strftime_now does not know %');
});
