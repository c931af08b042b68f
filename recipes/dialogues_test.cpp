#include "recipes/dialogues.h"

#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

class DialoguesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryFolder::create("text");
    ASSERT_TRUE(folder.ok()) << folder.error().message;
    folder_.emplace(std::move(*folder));
  }
  Result<std::vector<Dialogue>> read(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_->path() / name;
    EXPECT_TRUE(write_text_file(path, text).ok());
    return read_dialogues(path);
  }
  std::optional<TemporaryFolder> folder_;
};

// "role: content" of each message, or the text.
std::string text_of(const Dialogue& dialogue) {
  std::string text = dialogue.text;
  for (const ChatMessage& message : dialogue.messages)
    text += (text.empty() ? "" : " | ") + message.role + ": " + message.content;
  return text;
}

TEST_F(DialoguesTest, AllShapesAreRead) {
  auto dialogues =
      read("all.jsonl",
           R"({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "A"}]}
{"conversations": [{"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}], "id": 3}

{"instruction": "A", "input": "C", "output": "B"}
{"instruction": "A", "input": "", "output": "B"}
{"instruction": "A", "context": "C", "response": "B", "category": "qa"}
{"question": "A", "answer": "B"}
{"prompt": "A", "completion": "B"}
{"text": "plain"})");
  ASSERT_TRUE(dialogues.ok()) << dialogues.error().message;
  const std::vector<std::pair<size_t, std::string>> wanted = {
      {1, "system: S | user: A"},         {2, "user: A | assistant: B"},
      {4, "user: A\n\nC | assistant: B"}, {5, "user: A | assistant: B"},
      {6, "user: A\n\nC | assistant: B"}, {7, "user: A | assistant: B"},
      {8, "user: A | assistant: B"},      {9, "plain"}};
  ASSERT_EQ(dialogues->size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ((*dialogues)[i].line, wanted[i].first);
    EXPECT_EQ(text_of((*dialogues)[i]), wanted[i].second);
  }
}

TEST_F(DialoguesTest, AnArrayIsReadFromAJsonFile) {
  auto dialogues = read("alpaca.json", R"([{"instruction": "A", "output": "B"},
    {"text": "C"}])");
  ASSERT_TRUE(dialogues.ok()) << dialogues.error().message;
  ASSERT_EQ(dialogues->size(), 2u);
  EXPECT_EQ(text_of((*dialogues)[0]), "user: A | assistant: B");
  EXPECT_EQ((*dialogues)[1].line, 2u);
}

TEST_F(DialoguesTest, RecordsOfAnotherShapeAreRefusedWithTheirLine) {
  for (const char* line :
       {R"({"instruction": "no answer"})", R"({"messages": []})", R"([1, 2])", R"({"messages": "hello"})",
        R"({"messages": [{"role": "user"}]})", R"({"text": 3})", "7"}) {
    auto dialogues = read("wrong.jsonl", std::string("{\"text\": \"right\"}\n") + line + "\n");
    ASSERT_FALSE(dialogues.ok()) << line;
    EXPECT_NE(dialogues.error().message.find("wrong.jsonl:2: a record of another shape; wanted"),
              std::string::npos)
        << dialogues.error().message;
  }
  auto torn = read("torn.jsonl", "{\"text\": \"right\"}\n{\"text\": \"to");
  ASSERT_FALSE(torn.ok());
  EXPECT_NE(torn.error().message.find("torn.jsonl:2: this is no JSON"), std::string::npos)
      << torn.error().message;
}

TEST_F(DialoguesTest, AJsonFileThatIsNoArrayIsRefused) {
  for (const char* text : {"{\"text\": \"one\"}", "[]", "[1, ", "{\"text\": \"one\"}\n{\"text\": \"two\"}"}) {
    auto dialogues = read("wrong.json", text);
    ASSERT_FALSE(dialogues.ok()) << text;
    EXPECT_NE(dialogues.error().message.find("wanted a JSON array"), std::string::npos)
        << dialogues.error().message;
  }
}

}  // namespace
}  // namespace edgellm
