/** What is used of node-llama-cpp 3, which need not be installed. */
declare module 'node-llama-cpp' {
  export function getLlama(options: { gpu: 'auto'; build: 'never'; logLevel: 'error' }): Promise<{
    loadModel(options: { modelPath: string }): Promise<LlamaModel>;
    dispose(): Promise<void>;
  }>;
  export interface LlamaModel {
    tokenize(text: string): number[];
    createContext(
      options: Record<string, never>,
    ): Promise<{ contextSize: number; getSequence(): LlamaContextSequence }>;
  }
  export interface LlamaContextSequence {
    clearHistory(): Promise<void>;
  }
  export class LlamaChatSession {
    constructor(options: { contextSequence: LlamaContextSequence; systemPrompt?: string; autoDisposeSequence: false });
    promptWithMeta(
      text: string,
      options: { maxTokens: number; temperature: number; seed: number },
    ): Promise<{ responseText: string; stopReason: string }>;
    dispose(): void;
  }
}
