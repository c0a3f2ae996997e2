"""What dialects call a provider -> its name in OpenTelemetry, or in the price catalog where
OpenTelemetry has none."""

from functools import lru_cache
from typing import Final

from ingest_api.otlp.aliases import PROVIDER, text_of
from ingest_api.otlp.spans import Span

UNKNOWN: Final = "unknown"

NAMES: Final = {
    "amazon": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws.bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure.ai.inference": "azure.ai.inference",
    "azure.ai.openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "gcp.gemini",
    "gcp.gen_ai": "gcp.gen_ai",
    "gcp.vertex.agent": "gcp.gen_ai",
    "gcp.vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google.generative-ai": "gcp.gemini",
    "google.vertex": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "hugging_face": "hugging_face",
    "huggingface": "hugging_face",
    "ibm.watsonx.ai": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistral_ai": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
}

# Named where the provider belongs, but they are what calls it.
FRAMEWORKS: Final = frozenset(
    {
        "_other", "autogen", "crewai", "custom", "langchain", "langgraph", "litellm", "llama_index",
        "llamaindex", "microsoft.agent_framework", "none", "openai_agents", "pydantic_ai",
        "semantic_kernel", "unknown",
    }
)  # fmt: skip

# A client of one provider often talks to another that speaks its API: the address knows better
# than the client's name.
HOST_ENDINGS: Final = (
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    (".api.aws", "aws.bedrock"),
    ("api.ai21.com", "ai21"),
    ("api.cerebras.ai", "cerebras"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    (".crusoecloud.com", "crusoe"),
    ("api.deepseek.com", "deepseek"),
    ("api.fireworks.ai", "fireworks"),
    ("api.groq.com", "groq"),
    ("inference.heroku.com", "heroku"),
    (".endpoints.huggingface.cloud", "hugging_face"),
    ("api-inference.huggingface.co", "hugging_face"),
    ("router.huggingface.co", "hugging_face"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("ollama.com", "ollama"),
    ("openrouter.ai", "openrouter"),
    ("api.perplexity.ai", "perplexity"),
    (".snowflakecomputing.com", "snowflake"),
    ("api.together.ai", "together"),
    ("api.together.xyz", "together"),
    ("api.x.ai", "x_ai"),
    ("api.z.ai", "zai"),
)

# What Vercel adds to a provider: `openai.responses`, `google.vertex.chat`.
VERCEL_APIS: Final = (
    ".chat", ".completion", ".embedding", ".image", ".messages", ".responses", ".speech",
    ".textembedding", ".text-embedding", ".transcription",
)  # fmt: skip


def provider_of(span: Span) -> str:
    """The provider that a span names; its address decides where it is one that is known."""
    address = text_of(span.facts, "address")
    known = provider_at(address) if address else None
    return known or _named(span) or UNKNOWN


def _named(span: Span) -> str | None:
    for name in PROVIDER:
        sent = text_of(span.attributes, name)
        if sent and (found := canonical(sent)) not in FRAMEWORKS:
            return found
    return None


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """A provider's name as the ledger has it: `openai.chat` is openai, `MistralAI` mistral_ai."""
    lower = name.strip().lower()
    provider = lower.rpartition(".")[0] if lower.endswith(VERCEL_APIS) else lower
    return NAMES.get(provider, provider)


@lru_cache(maxsize=1024)
def provider_at(address: str) -> str | None:
    """The provider that answers at a host or URL, None where it is not known."""
    host = address.partition("//")[2] or address
    host = host.partition("/")[0].rpartition("@")[2].partition(":")[0].lower()
    for ending, provider in HOST_ENDINGS:
        if host.endswith(ending):
            return provider
    return None
