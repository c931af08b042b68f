#include "recipes/drawn_text.h"

#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/interrupt.h"
#include "core/text/chat_template.h"
#include "runtime/decode/generate.h"

namespace edgellm {
namespace {

constexpr size_t kTokensPerDraw = 240;

// Half are asked as questions where the model has a chat template, half are begun as plain text.
constexpr const char* kQuestions[] = {
    "Explain why the sky is blue to a ten-year-old.",
    "Write a Python function that returns the n-th Fibonacci number, and explain it.",
    "A train travels 180 km in 2 hours and then 90 km in 1.5 hours. What is its average speed?",
    "Summarize the causes of the First World War in one paragraph.",
    "Give me a recipe for vegetable soup with quantities.",
    "What is the difference between a virus and a bacterium?",
    "Translate into French: The library opens at nine and closes at six.",
    "Write a polite e-mail asking a landlord to repair a leaking tap.",
    "How does a hash table work? When is it slow?",
    "List five ideas for a birthday party for a seven-year-old.",
    "What are the advantages and disadvantages of nuclear power?",
    "Write a short poem about the sea in winter.",
};
constexpr const char* kBeginnings[] = {
    "The city lies on the northern bank of the river and was founded in the",
    "#include <vector>\n#include <string>\n\n// Splits a line at commas.\n",
    "Once upon a time, in a village at the foot of a mountain, there lived",
    "import json\nimport sys\n\ndef main():\n    ",
    "In mathematics, a prime number is",
    "Die Geschichte der Stadt beginnt im",
    "The results of the experiment show that the temperature of the sample",
    "SELECT customers.name, COUNT(orders.id)\nFROM customers\n",
    "BREAKING: Markets fell on Tuesday after",
    "El clima de la región es",
    "She opened the letter with trembling hands. \"Dear Anna,\" it began,",
    "Photosynthesis is the process by which",
};

struct Draw {
  std::string prompt, text;
  size_t n_tokens = 0;
};

std::vector<Draw> read_log(const std::filesystem::path& log) {
  std::vector<Draw> draws;
  std::ifstream in(log);
  for (std::string line; std::getline(in, line);) {
    auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("text") || !row.contains("tokens") || !row.contains("prompt"))
      break;
    draws.push_back({row["prompt"], row["text"], row["tokens"]});
  }
  return draws;
}

Result<std::string> prompt_of(size_t number, const ChatTemplate* chat, const Tokenizer& tokenizer) {
  size_t pair = number / 2;
  if (number % 2 == 1 || !chat) {
    size_t n = std::size(kBeginnings) + std::size(kQuestions);
    size_t i = chat ? pair % std::size(kBeginnings) : number % n;
    return std::string(i < std::size(kBeginnings) ? kBeginnings[i] : kQuestions[i - std::size(kBeginnings)]);
  }
  ChatTemplate::Options options;
  if (tokenizer.bos() >= 0) options.bos_token = tokenizer.piece(tokenizer.bos(), true);
  if (tokenizer.eos() >= 0) options.eos_token = tokenizer.piece(tokenizer.eos(), true);
  return chat->render({{"user", kQuestions[pair % std::size(kQuestions)]}}, options);
}

}  // namespace

Result<std::string> draw_text(std::shared_ptr<Decoder> decoder, const Tokenizer& tokenizer, size_t n_tokens,
                              const std::filesystem::path& log, const Progress& progress) {
  const Metadata& metadata = decoder->file().metadata();
  std::unique_ptr<ChatTemplate> chat;
  if (metadata.contains("tokenizer.chat_template"))
    if (auto parsed = ChatTemplate::from_metadata(metadata); parsed.ok())
      chat = std::make_unique<ChatTemplate>(std::move(*parsed));
  EDGELLM_ASSIGN_OR_RETURN(Session session, Session::create(decoder, {.n_context = kTokensPerDraw + 256}));
  std::vector<Draw> draws = read_log(log);
  size_t n_drawn = 0;
  for (const Draw& d : draws) n_drawn += d.n_tokens;
  ProgressMeter meter(progress, "drawing text from the model", double(n_tokens), double(n_drawn));
  // Rewritten, not appended to: a line torn by a kill would hide those after it.
  std::ofstream out(log, std::ios::trunc);
  auto keep = [&](const Draw& d) {
    out << nlohmann::json{{"prompt", d.prompt}, {"text", d.text}, {"tokens", d.n_tokens}}.dump() << std::endl;
  };
  for (const Draw& d : draws) keep(d);
  while (n_drawn < n_tokens) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    Draw draw;
    EDGELLM_ASSIGN_OR_RETURN(draw.prompt, prompt_of(draws.size(), chat.get(), tokenizer));
    std::vector<Token> tokens = tokenizer.encode(draw.prompt, {.add_special = true, .parse_special = true});
    SamplerOptions options;
    options.temperature = 1.0f;
    options.seed = 1000 + draws.size();
    Sampler sampler(options, decoder->hyperparameters().n_vocabulary);
    session.reset();
    EDGELLM_ASSIGN_OR_RETURN(Generation answer,
                             generate(session, tokenizer, sampler, tokens, {.max_tokens = kTokensPerDraw},
                                      [](std::string_view) {}));
    if (answer.reason == StopReason::interrupted) return Error{"interrupted"};
    draw.text = answer.text;
    // An answer that ends at once still counts a little, so that a broken model cannot keep us here for ever.
    draw.n_tokens = std::max<size_t>(tokens.size() + answer.tokens.size(), 8);
    keep(draw);
    if (!out) return Error{fmt::format("cannot write {}", log.string())};
    n_drawn += draw.n_tokens;
    meter.add(double(draw.n_tokens));
    draws.push_back(std::move(draw));
  }
  meter.finish();
  std::string text;
  for (const Draw& d : draws) text += d.prompt + d.text + "\n\n";
  return text;
}

}  // namespace edgellm
