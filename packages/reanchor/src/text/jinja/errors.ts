/** What Jinja and Python raise, by the names they have there. */

export type ErrorKind =
  | 'TemplateSyntaxError'
  | 'TemplateAssertionError'
  | 'TemplateError'
  | 'TemplateRuntimeError'
  | 'UndefinedError'
  | 'SecurityError'
  | 'FilterArgumentError'
  | 'SyntaxError'
  | 'TypeError'
  | 'ValueError'
  | 'KeyError'
  | 'IndexError'
  | 'AttributeError'
  | 'AssertionError'
  | 'ZeroDivisionError'
  | 'OverflowError'
  | 'UnicodeEncodeError'
  | 'RuntimeError'
  /** The template makes more than {@link ./limits.ts} allows. */
  | 'LimitError'
  /** Python could, and this cannot. */
  | 'Unsupported';

/** What ends the rendering of a template, or its reading. */
export class TemplateError extends Error {
  override name = 'TemplateError';

  constructor(
    readonly kind: ErrorKind,
    message: string,
  ) {
    super(message);
  }
}

/** Throws a {@link TemplateError}; an expression, so that it can stand where a value is asked for. */
export function fail(kind: ErrorKind, message: string): never {
  throw new TemplateError(kind, message);
}

/** Refuses by its name what Python has and this has not. */
export function unsupported(what: string): never {
  throw new TemplateError('Unsupported', `${what} is not supported in chat templates`);
}

/** What is computed, or else what stands for it where that fails with one of the errors. */
export function rescue<T>(compute: () => T, kinds: readonly ErrorKind[], otherwise: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (error instanceof TemplateError && kinds.includes(error.kind)) return otherwise();
    throw error;
  }
}
