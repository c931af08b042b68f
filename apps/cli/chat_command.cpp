#include <fmt/format.h>

#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/conversation.h"
#include "apps/cli/line_reader.h"
#include "core/base/interrupt.h"

namespace edgellm {
namespace {

constexpr std::string_view kHelp =
    "/reset         forget the conversation\n"
    "/system TEXT   set the system message and start anew; without TEXT: take it away\n"
    "/help          this list\n"
    "/quit          leave (or Ctrl-D)\n"
    "Ctrl-C stops an answer.\n";

class Chat {
 public:
  Chat(Conversation conversation, std::string system)
      : conversation_(std::move(conversation)), system_(std::move(system)) {
    reset();
  }

  // False when the user wants to leave.
  Result<bool> take(const std::string& line) {
    if (line.empty()) return true;
    if (line[0] != '/') {
      EDGELLM_RETURN_IF_ERROR(answer(line));
      return true;
    }
    size_t end = line.find(' ');
    std::string command = line.substr(0, end), rest = end == std::string::npos ? "" : line.substr(end + 1);
    if (command == "/quit" || command == "/exit") return false;
    if (command == "/reset") {
      reset();
    } else if (command == "/system") {
      system_ = rest;
      reset();
    } else {
      if (command != "/help") fmt::print(stderr, "unknown command {}\n", command);
      fmt::print(stderr, "{}", kHelp);
    }
    return true;
  }

 private:
  void reset() {
    messages_.clear();
    if (!system_.empty()) messages_.push_back({"system", system_});
  }

  // The prompt, the oldest exchanges left out until a quarter of the context is free for the answer.
  Result<std::vector<Token>> prompt() {
    size_t n_context = conversation_.session().n_context(), n_dropped = 0;
    for (;;) {
      EDGELLM_ASSIGN_OR_RETURN(std::vector<Token> tokens, conversation_.format().tokens_of(messages_));
      size_t first = system_.empty() ? 0 : 1;
      if (tokens.size() <= n_context - n_context / 4 || messages_.size() < first + 3) {
        if (n_dropped)
          fmt::print(stderr, "(context full: the oldest {} messages are forgotten)\n", n_dropped);
        return tokens;
      }
      messages_.erase(messages_.begin() + ptrdiff_t(first), messages_.begin() + ptrdiff_t(first) + 2);
      n_dropped += 2;
    }
  }

  Status answer(const std::string& line) {
    messages_.push_back({"user", line});
    auto tokens = prompt();
    // A message that cannot be answered is no reason to leave the chat.
    auto generation = tokens.ok() ? conversation_.answer(*tokens) : Result<Generation>(tokens.error());
    if (!generation.ok()) {
      messages_.pop_back();
      fmt::print(stderr, "edgellm: {}\n", generation.error().message);
      return {};
    }
    fmt::print("\n");
    std::fflush(stdout);
    if (generation->reason == StopReason::interrupted) fmt::print(stderr, "(stopped)\n");
    if (generation->reason == StopReason::context_full) fmt::print(stderr, "(context full)\n");
    clear_interrupt();
    messages_.push_back({"assistant", generation->text});
    return {};
  }

  Conversation conversation_;
  std::string system_;
  std::vector<ChatMessage> messages_;
};

Status chat(const ConversationOptions& o) {
  EDGELLM_ASSIGN_OR_RETURN(Conversation conversation, Conversation::open(o));
  if (!conversation.format().has_template())
    return Error{fmt::format("chat: {} carries no chat template; it is a base model: use 'edgellm run --raw'",
                             o.model)};
  LineReader reader(state_folder() / "chat_history");
  if (reader.is_terminal())
    fmt::print(stderr, "{}, context of {} tokens. /help lists the commands.\n",
               conversation.session().decoder().backend().description(), conversation.session().n_context());
  Chat chat(std::move(conversation), o.system);
  for (;;) {
    std::optional<std::string> line = reader.read("> ");
    if (!line) return {};
    EDGELLM_ASSIGN_OR_RETURN(bool goes_on, chat.take(*line));
    if (!goes_on) return {};
  }
}

}  // namespace

void add_chat(CLI::App& app, Status& status) {
  auto o = std::make_shared<ConversationOptions>();
  auto* command = app.add_subcommand("chat", "Talk with a model");
  add_conversation_options(*command, *o);
  command->footer(
      fmt::format("In the chat:\n{}\nExamples:\n"
                  "  edgellm chat model.gguf\n"
                  "  edgellm chat model.gguf --system \"Answer in one sentence.\" --context 2048 --kv q8_0",
                  kHelp));
  command->callback([o, &status] { status = chat(*o); });
}

}  // namespace edgellm
