#include "recipes/drawn_text.h"

#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "recipes/json_lines.h"
#include "recipes/prompt_format.h"
#include "runtime/decode/generate_many.h"

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

// The shortest run of draws from 0 on that has enough tokens; nothing where there is none.
std::optional<std::string> text_of(const std::map<size_t, Draw>& draws, size_t n_tokens) {
  std::string text;
  size_t n = 0;
  for (const auto& [number, draw] : draws) {
    if (n >= n_tokens) break;
    if (!draws.contains(number ? number - 1 : 0)) return std::nullopt;
    text += draw.prompt + draw.text + "\n\n";
    n += draw.n_tokens;
  }
  if (n < n_tokens) return std::nullopt;
  return text;
}

// By number. Lines of another form are left out: those draws are made again, to the same text.
std::map<size_t, Draw> read_log(const std::filesystem::path& log) {
  std::map<size_t, Draw> draws;
  for (const nlohmann::json& row : read_json_lines(log)) {
    try {
      draws[row.at("number")] = {row.at("prompt"), row.at("text"), row.at("tokens")};
    } catch (const nlohmann::json::exception&) {
    }
  }
  return draws;
}

Result<std::string> prompt_of(size_t number, const PromptFormat& format) {
  size_t pair = number / 2;
  if (number % 2 == 0 && format.has_template())
    return format.text_of({{"user", kQuestions[pair % std::size(kQuestions)]}});
  size_t n = std::size(kBeginnings) + std::size(kQuestions);
  size_t i = format.has_template() ? pair % std::size(kBeginnings) : number % n;
  return std::string(i < std::size(kBeginnings) ? kBeginnings[i] : kQuestions[i - std::size(kBeginnings)]);
}

// Draws are numbered, and each depends on its number alone. The text is the shortest run of them from 0 on
// that has enough tokens, so that it does not matter in which order they end or where a kill came.
class Drawing {
 public:
  Drawing(Decoder& decoder, const Tokenizer& tokenizer, size_t n_tokens, std::filesystem::path log)
      : decoder_(decoder),
        tokenizer_(tokenizer),
        n_tokens_(n_tokens),
        log_(std::move(log)),
        format_(tokenizer) {}

  Result<std::string> run(const Progress& progress) {
    // A chat template that cannot be read costs variety, not the fit.
    if (auto format = PromptFormat::from_file(decoder_.file(), tokenizer_); format.ok())
      format_ = std::move(*format);
    draws_ = read_log(log_);
    size_t n_drawn = 0;
    for (const auto& [number, draw] : draws_) n_drawn += draw.n_tokens;
    ProgressMeter meter(progress, "drawing text from the model", double(n_tokens_), double(n_drawn));
    OnAnswer on_answer = [&](size_t request, Generation answer) -> Status {
      size_t number = numbers_[request];
      --n_in_work_;
      Draw& draw = draws_[number];
      draw.prompt = prompts_[request];
      draw.text = std::move(answer.text);
      // An answer that ends at once still counts a little, so that a broken model cannot keep us here for
      // ever.
      draw.n_tokens = std::max<size_t>(answer.n_prompt_tokens + answer.tokens.size(), 8);
      meter.add(double(draw.n_tokens) - double(std::min(answer.tokens.size(), draw.n_tokens)));
      return keep(number, draw);
    };
    GenerateManyOptions options;
    options.on_step = [&](size_t n) { meter.add(double(n)); };
    options.n_context = kTokensPerDraw + 256;
    EDGELLM_RETURN_IF_ERROR(generate_many(
        decoder_, tokenizer_, options, [&] { return next_request(); }, on_answer));
    EDGELLM_RETURN_IF_ERROR(prompt_error_);
    meter.finish();
    return *text_of(draws_, n_tokens_);
  }

 private:
  // Counting those in work as long ones, so that few are drawn for nothing.
  bool is_enough() const {
    size_t n = n_in_work_ * kTokensPerDraw;
    for (size_t number = 0; number < next_number_; ++number)
      if (auto draw = draws_.find(number); draw != draws_.end()) n += draw->second.n_tokens;
    return n >= n_tokens_;
  }

  std::optional<GenerationRequest> next_request() {
    while (draws_.contains(next_number_)) ++next_number_;
    if (!prompt_error_.ok() || is_enough()) return std::nullopt;
    auto prompt = prompt_of(next_number_, format_);
    if (!prompt.ok()) {
      prompt_error_ = prompt.error();
      return std::nullopt;
    }
    GenerationRequest request;
    request.prompt = format_.tokens_of(*prompt);
    request.sampler.temperature = 1.0f;
    request.sampler.seed = 1000 + next_number_;
    request.max_tokens = kTokensPerDraw;
    numbers_.push_back(next_number_++);
    prompts_.push_back(std::move(*prompt));
    ++n_in_work_;
    return request;
  }

  Status keep(size_t number, const Draw& draw) {
    return append_json_line(
        log_, {{"number", number}, {"prompt", draw.prompt}, {"text", draw.text}, {"tokens", draw.n_tokens}});
  }

  Decoder& decoder_;
  const Tokenizer& tokenizer_;
  size_t n_tokens_;
  std::filesystem::path log_;
  PromptFormat format_;
  std::map<size_t, Draw> draws_;
  std::vector<size_t> numbers_;       // of each request
  std::vector<std::string> prompts_;  // of each request
  size_t next_number_ = 0, n_in_work_ = 0;
  Status prompt_error_;
};

}  // namespace

Result<std::string> draw_text(Decoder& decoder, const Tokenizer& tokenizer, size_t n_tokens,
                              const std::filesystem::path& log, const Progress& progress) {
  return Drawing(decoder, tokenizer, n_tokens, log).run(progress);
}

Result<CalibrationText> draw_calibration_text(std::shared_ptr<const GgufFile> source,
                                              const Tokenizer& tokenizer, const DrawnText& wanted,
                                              const Progress& progress) {
  const size_t n_tokens = wanted.n_windows * wanted.n_window_tokens;
  auto cut = [&](const std::string& text) {
    return cut_calibration_text(text, "drawn from the model itself", tokenizer, wanted.n_window_tokens,
                                wanted.fewest_windows);
  };
  // Without the weights, where an earlier run has drawn all of it.
  if (auto text = text_of(read_log(wanted.log), n_tokens)) return cut(*text);
  EDGELLM_ASSIGN_OR_RETURN(
      std::unique_ptr<Decoder> decoder,
      Decoder::load(std::move(source), {.n_threads = wanted.n_threads,
                                        .n_logit_rows = 16,
                                        .batch_invariant = true,
                                        .gives_back_weights = wanted.gives_back_weights}));
  if (wanted.weights) EDGELLM_RETURN_IF_ERROR(wanted.weights(*decoder));
  EDGELLM_ASSIGN_OR_RETURN(std::string text, draw_text(*decoder, tokenizer, n_tokens, wanted.log, progress));
  return cut(text);
}

}  // namespace edgellm
