/**
 * Addresses of providers, as the server knows them.
 *
 * They are those of `sdk/contract/providers.json`; a test compares.
 */
export const HOST_ENDINGS: readonly (readonly [ending: string, providerName: string])[] = [
  ["api.openai.com", "openai"],
  [".openai.azure.com", "azure.ai.openai"],
  [".cognitiveservices.azure.com", "azure.ai.openai"],
  [".services.ai.azure.com", "azure.ai.inference"],
  [".models.ai.azure.com", "azure.ai.inference"],
  ["api.anthropic.com", "anthropic"],
  ["generativelanguage.googleapis.com", "gcp.gemini"],
  ["aiplatform.googleapis.com", "gcp.vertex_ai"],
  [".amazonaws.com", "aws.bedrock"],
  [".api.aws", "aws.bedrock"],
  ["api.ai21.com", "ai21"],
  ["api.cerebras.ai", "cerebras"],
  ["api.cohere.ai", "cohere"],
  ["api.cohere.com", "cohere"],
  [".crusoecloud.com", "crusoe"],
  ["api.deepseek.com", "deepseek"],
  ["api.fireworks.ai", "fireworks"],
  ["api.groq.com", "groq"],
  ["inference.heroku.com", "heroku"],
  [".endpoints.huggingface.cloud", "hugging_face"],
  ["api-inference.huggingface.co", "hugging_face"],
  ["router.huggingface.co", "hugging_face"],
  ["api.mistral.ai", "mistral_ai"],
  ["api.moonshot.ai", "moonshot_ai"],
  ["api.moonshot.cn", "moonshot_ai"],
  ["ollama.com", "ollama"],
  ["openrouter.ai", "openrouter"],
  ["api.perplexity.ai", "perplexity"],
  [".snowflakecomputing.com", "snowflake"],
  ["api.together.ai", "together"],
  ["api.together.xyz", "together"],
  ["api.x.ai", "x_ai"],
  ["api.z.ai", "zai"],
];

/** Who answers at an address: a client of one provider often talks to another. */
export function providerAt(address: string, otherwise: string): string {
  let host = hosts.get(address);
  if (host === undefined) {
    if (hosts.size >= MAX_HOSTS) hosts.clear();
    hosts.set(address, (host = hostOf(address)));
  }
  return HOST_ENDINGS.find(([ending]) => host.endsWith(ending))?.[1] ?? otherwise;
}

// A program talks to few, and reading an address takes longer than all else.
const MAX_HOSTS = 256;
const hosts = new Map<string, string>();

function hostOf(address: string): string {
  try {
    return new URL(address).hostname;
  } catch {
    return "";
  }
}
