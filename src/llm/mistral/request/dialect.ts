/**
 * What the server at the other end understands: Mistral's API, which refuses every key it does not know, or OpenAI's as
 * vLLM, Ollama, llama.cpp and OpenRouter have it.
 */
export type Dialect = 'mistral' | 'openai'
