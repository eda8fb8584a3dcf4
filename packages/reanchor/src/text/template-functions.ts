/** The functions that transformers gives to chat templates. */
import { builtins, fail, stringOf, toText, type Variables } from './jinja/index.js';
import { strftime } from './strftime.js';

/** `raise_exception`, and `strftime_now`, which tells the time that `now` gives. */
export function templateFunctions(now: () => Date): Variables {
  return Object.fromEntries(
    builtins({
      raise_exception: ['message', (message) => fail('TemplateError', stringOf(message))],
      strftime_now: ['format', (format) => strftime(now(), toText(format, 'strftime() argument 1'))],
    }),
  );
}
