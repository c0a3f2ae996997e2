/** Every call of a model that the SDK knows, by the ending of its path, for each library. */
import * as anthropic from "./anthropic.js";
import type { Api, Apis } from "./apis.js";
import * as cohere from "./cohere.js";
import * as google from "./google.js";
import * as huggingface from "./huggingface.js";
import * as openai from "./openai.js";

function openaiApi(operationName: string, more: Partial<Api> = {}): Api {
  const { read, inputMessages, outputMessages, ChatStream: stream } = openai;
  return { operationName, read, stream, inputMessages, outputMessages, ...more };
}

function googleApi(operationName: string, read = google.read): Api {
  const { inputMessages, outputMessages, ContentStream: stream } = google;
  return { operationName, read, stream, inputMessages, outputMessages };
}

function cohereApi(operationName: string): Api {
  const { read, inputMessages, outputMessages, ChatStream: stream } = cohere;
  return { operationName, read, stream, inputMessages, outputMessages };
}

export const OPENAI_APIS: Apis = {
  "/chat/completions": openaiApi("chat", { asksUsage: true }),
  "/completions": openaiApi("text_completion", { asksUsage: true }),
  "/embeddings": openaiApi("embeddings"),
  "/responses": openaiApi("chat", { stream: openai.ResponseStream }),
  "/images/generations": openaiApi("image_generation"),
  "/images/edits": openaiApi("image_generation"),
  "/audio/transcriptions": openaiApi("transcription"),
};
export const ANTHROPIC_APIS: Apis = {
  "/v1/messages": {
    operationName: "chat",
    read: anthropic.read,
    stream: anthropic.MessageStream,
    inputMessages: anthropic.inputMessages,
    outputMessages: anthropic.outputMessages,
  },
};
export const GOOGLE_APIS: Apis = {
  ":generateContent": googleApi("generate_content"),
  ":streamGenerateContent": googleApi("generate_content"),
  ":embedContent": googleApi("embeddings", google.readEmbedding),
  ":batchEmbedContents": googleApi("embeddings", google.readEmbedding),
  ":predict": googleApi("embeddings", google.readEmbedding),
};
export const MISTRAL_APIS: Apis = {
  "/v1/chat/completions": openaiApi("chat"),
  "/v1/fim/completions": openaiApi("text_completion"),
  "/v1/agents/completions": openaiApi("chat"),
  "/v1/embeddings": openaiApi("embeddings"),
};
export const COHERE_APIS: Apis = {
  "/chat": cohereApi("chat"),
  "/generate": cohereApi("text_completion"),
  "/embed": cohereApi("embeddings"),
  "/rerank": cohereApi("rerank"),
};
const TEXT_GENERATION: Api = {
  operationName: "text_completion",
  read: huggingface.read,
  stream: huggingface.TextStream,
  inputMessages: huggingface.inputMessages,
  outputMessages: huggingface.outputMessages,
};
export const HUGGING_FACE_APIS: Apis = {
  "/chat/completions": openaiApi("chat", { asksUsage: true }),
  "/completions": openaiApi("text_completion"),
  "/embeddings": openaiApi("embeddings"),
  // By the library's name of the task, where the address does not tell.
  "/text-generation": TEXT_GENERATION,
  "/feature-extraction": openaiApi("embeddings"),
  "/sentence-similarity": openaiApi("embeddings"),
  "/text-to-image": openaiApi("image_generation"),
  "/automatic-speech-recognition": openaiApi("transcription"),
};
