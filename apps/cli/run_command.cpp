#include <fmt/format.h>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/conversation.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "runtime/decode/run_memory.h"

namespace edgellm {
namespace {

struct Options {
  ConversationOptions conversation;
  std::string prompt, prompt_file, json;
  bool raw = false;
};

Result<std::string> prompt_text(const Options& o) {
  if (o.prompt_file.empty()) return o.prompt;
  if (o.prompt_file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  return read_text_file(o.prompt_file);
}

Status write_json(const Options& o, Conversation& conversation, const Generation& g) {
  nlohmann::json j = {{"schema", 1},
                      {"command", "run"},
                      {"model", o.conversation.model},
                      {"text", g.text},
                      {"tokens", g.tokens},
                      {"stopped_by", to_string(g.reason)},
                      {"prompt_tokens", g.n_prompt_tokens},
                      {"prompt_seconds", g.prompt_seconds},
                      {"generated_tokens", g.tokens.size()},
                      {"generate_seconds", g.generate_seconds},
                      {"context", conversation.session().n_context()},
                      {"kv", conversation.kv()},
                      {"backend", conversation.session().decoder().backend().description()},
                      {"peak_resident_bytes", peak_resident_bytes()}};
  return write_text_file(o.json, j.dump(2) + "\n");
}

Status run(const Options& o) {
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.conversation.model, o.prompt_file}}));
  EDGELLM_ASSIGN_OR_RETURN(std::string text, prompt_text(o));
  EDGELLM_ASSIGN_OR_RETURN(Conversation conversation, Conversation::open(o.conversation));
  std::vector<Token> prompt;
  if (o.raw || !conversation.format().has_template()) {
    if (!o.conversation.system.empty())
      return Error{fmt::format("run: --system needs a chat template, and {}",
                               o.raw ? "--raw was given" : "the model has none")};
    prompt = conversation.format().tokens_of(text);
  } else {
    std::vector<ChatMessage> messages;
    if (!o.conversation.system.empty()) messages.push_back({"system", o.conversation.system});
    messages.push_back({"user", text});
    EDGELLM_ASSIGN_OR_RETURN(prompt, conversation.format().tokens_of(messages));
  }
  EDGELLM_ASSIGN_OR_RETURN(Generation generation, conversation.answer(prompt));
  fmt::print("\n");
  fmt::print(stderr, "{}; {}\n", timings_text(generation),
             conversation.session().decoder().backend().description());
  if (!o.json.empty()) EDGELLM_RETURN_IF_ERROR(write_json(o, conversation, generation));
  return check_interrupt();
}

}  // namespace

void add_run(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("run", "Answer one prompt");
  add_conversation_options(*command, o->conversation);
  auto* prompt = command->add_option_group("prompt", "what is asked, exactly one");
  prompt->add_option("-p,--prompt", o->prompt, "the prompt");
  prompt->add_option("-f,--file", o->prompt_file, "file with the prompt; -: standard input");
  prompt->require_option(1);
  command->add_flag("--raw", o->raw, "continue the prompt as it stands, without the model's chat template");
  command->add_option("--json", o->json, "also write the answer and the timings to this file");
  command->footer(
      "Examples:\n"
      "  edgellm run model.gguf --prompt \"Why is the sky blue?\"\n"
      "  edgellm run model.gguf --raw --prompt \"The capital of France is\" --max-tokens 16 --temperature 0\n"
      "  git diff | edgellm run model.gguf --system \"Write a commit message for this diff.\" -f -");
  command->callback([o, &status] { status = run(*o); });
}

}  // namespace edgellm
