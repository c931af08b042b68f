#include "core/text/chat_template.h"
#include "tests/fuzz/fuzz_input.h"

// Any template ends, with a text or an Error, within the work it is allowed.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const auto parsed = edgellm::ChatTemplate::parse(edgellm::as_text(data, n_bytes));
  if (!parsed.ok()) return 0;
  edgellm::ChatTemplate::Options options;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  options.now = 1'700'000'000;
  options.work_limit = 1 << 20;
  options.variables_json =
      R"({"tools": [{"function": {"name": "f", "n": [1, 2.5, null, true]}}], "enable_thinking": false})";
  const std::vector<edgellm::ChatMessage> messages = {
      {"system", " Be brief. "}, {"user", "Hi <b>\xc3\xa9\xff"}, {"assistant", "<think>a</think>b"}};
  const auto first = parsed->render(messages, options);
  const auto second = parsed->render(messages, options);
  if (first.ok() != second.ok() || (first.ok() && *first != *second)) __builtin_trap();
  return 0;
}
