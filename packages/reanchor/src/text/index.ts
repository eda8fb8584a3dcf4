export { loadTokenizer, parseTokenizer, type Tokenizer, type TokenizerSource } from './tokenizer.js';
