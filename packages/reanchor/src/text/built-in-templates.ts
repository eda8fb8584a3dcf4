/** Chat templates for models that come without one. */

interface BuiltInTemplate {
  source: string;
  /** What has to be one token each, so that the template does not mean something else. */
  tokens: readonly string[];
}

export const builtInTemplates = {
  /** ChatML. */
  chatml: {
    tokens: ['<|im_start|>', '<|im_end|>'],
    source: [
      "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}",
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    ].join(''),
  },
  /** The headers of Llama 3. */
  'llama-3': {
    tokens: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
    source: [
      '{{ bos_token }}',
      "{% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + (message.content | trim) + '<|eot_id|>' }}{% endfor %}",
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    ].join(''),
  },
  /** Roles in marks of plain text; EOS after every message. */
  zephyr: {
    tokens: [],
    source: [
      "{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}{% endfor %}",
      "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
    ].join(''),
  },
  /** Instructions and responses; EOS after every response. */
  alpaca: {
    tokens: [],
    source: [
      "{% if messages and messages[0].role == 'system' %}{{ messages[0].content }}{% else %}",
      "{{ 'Below is an instruction that describes a task. Write a response that appropriately completes the request.' }}{% endif %}",
      '{% for message in messages %}',
      "{% if message.role == 'user' %}{{ '\\n\\n### Instruction:\\n' + message.content + '\\n\\n### Response:\\n' }}",
      "{% elif message.role == 'assistant' %}{{ message.content + eos_token }}",
      "{% elif not loop.first or message.role != 'system' %}{{ raise_exception('the alpaca template has no role ' + message.role + ' here') }}{% endif %}",
      '{% endfor %}',
    ].join(''),
  },
  /** The transcripts of Anthropic HH; EOS after every answer. */
  hh: {
    tokens: [],
    source: [
      '{% for message in messages %}',
      "{% if message.role == 'user' %}{{ '\\n\\nHuman: ' + message.content }}",
      "{% elif message.role == 'assistant' %}{{ '\\n\\nAssistant: ' + message.content + eos_token }}",
      "{% elif message.role == 'system' %}{{ message.content }}",
      "{% else %}{{ raise_exception('a transcript has no role ' + message.role) }}{% endif %}",
      '{% endfor %}',
      "{% if add_generation_prompt %}{{ '\\n\\nAssistant:' }}{% endif %}",
    ].join(''),
  },
} as const satisfies Record<string, BuiltInTemplate>;

export const isBuiltIn = (name: string): name is keyof typeof builtInTemplates => Object.hasOwn(builtInTemplates, name);
