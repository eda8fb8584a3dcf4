export { type CachedTokens, cachedTokens, listTokens, removeTokens, tokensFolder, tokensKey } from './cache.js';
export { codeDigest } from './code-digest.js';
export { RowLayout } from './layout.js';
export { type SelectedRows, type Sink, type TokenFile, TokenWriter } from './token-file.js';
export { isWide, type Tokenizing } from './tokenize-block.js';
export { Tokenizers, usualThreads } from './tokenizers.js';
