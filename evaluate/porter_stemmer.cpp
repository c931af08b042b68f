#include "evaluate/porter_stemmer.h"

#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace edgellm {
namespace {

bool is_vowel_letter(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

// What the rules ask of a stem, from one pass over its letters: a y is a vowel after a consonant.
struct Shape {
  int measure = 0;  // m of the paper: how often a consonant follows a vowel
  bool has_vowel = false;
  bool last_is_consonant = false;
  bool ends_short = false;  // *o of the paper: consonant, vowel, consonant other than w, x, y
};

Shape shape_of(std::string_view stem) {
  Shape shape;
  std::array<bool, 3> last{};  // is_consonant of the last three letters, the newest first
  for (size_t i = 0; i < stem.size(); ++i) {
    bool consonant = stem[i] == 'y' ? i == 0 || !last[0] : !is_vowel_letter(stem[i]);
    if (!consonant) shape.has_vowel = true;
    if (consonant && i > 0 && !last[0]) ++shape.measure;
    last = {consonant, last[0], last[1]};
  }
  shape.last_is_consonant = last[0];
  if (stem.size() == 2)
    shape.ends_short = !last[1] && last[0];
  else if (stem.size() > 2)
    shape.ends_short =
        last[2] && !last[1] && last[0] && stem.back() != 'w' && stem.back() != 'x' && stem.back() != 'y';
  return shape;
}

int measure(std::string_view stem) {
  return shape_of(stem).measure;
}

struct Rule {
  std::string_view suffix, replacement;
};

// The first rule whose suffix the word has decides: it is applied when more than `least` is the measure of
// the stem, else the word stays.
void apply_first(std::string& word, std::span<const Rule> rules, int least) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    size_t n_stem = word.size() - rule.suffix.size();
    if (measure(std::string_view(word).substr(0, n_stem)) > least)
      word.replace(n_stem, std::string::npos, rule.replacement);
    return;
  }
}

void cut(std::string& word, size_t n_letters) {
  word.resize(word.size() - n_letters);
}

// Plurals.
void step_1a(std::string& word) {
  if (word.ends_with("sses"))
    cut(word, 2);
  else if (word.ends_with("ies"))
    cut(word, word.size() == 4 ? 1 : 2);
  else if (word.ends_with("s") && !word.ends_with("ss"))
    cut(word, 1);
}

// After -ed or -ing is gone: the e or the single letter the word had before.
void mend(std::string& word) {
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) {
    word += 'e';
    return;
  }
  Shape shape = shape_of(word);
  char last = word.back();
  bool is_double = word.size() >= 2 && word[word.size() - 2] == last && shape.last_is_consonant;
  if (is_double) {
    if (last != 'l' && last != 's' && last != 'z') word.pop_back();
  } else if (shape.measure == 1 && shape.ends_short) {
    word += 'e';
  }
}

// Past tenses and participles.
void step_1b(std::string& word) {
  std::string_view view = word;
  if (word.ends_with("ied")) {
    cut(word, word.size() == 4 ? 1 : 2);
  } else if (word.ends_with("eed")) {
    if (measure(view.substr(0, word.size() - 3)) > 0) cut(word, 1);
  } else if (size_t n = word.ends_with("ed")    ? 2
                        : word.ends_with("ing") ? 3
                                                : 0;
             n > 0 && shape_of(view.substr(0, word.size() - n)).has_vowel) {
    cut(word, n);
    mend(word);
  }
}

void step_1c(std::string& word) {
  if (word.size() < 3 || word.back() != 'y') return;
  if (shape_of(std::string_view(word).substr(0, word.size() - 1)).last_is_consonant) word.back() = 'i';
}

// Double suffixes to single ones.
void step_2(std::string& word) {
  static constexpr Rule rules[] = {
      {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"},   {"izer", "ize"},
      {"bli", "ble"},     {"entli", "ent"},   {"eli", "e"},     {"ousli", "ous"},   {"ization", "ize"},
      {"ation", "ate"},   {"ator", "ate"},    {"alism", "al"},  {"iveness", "ive"}, {"fulness", "ful"},
      {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"}, {"biliti", "ble"},  {"fulli", "ful"},
  };
  std::string_view view = word;
  if (word.ends_with("alli") && measure(view.substr(0, word.size() - 4)) > 0) cut(word, 2);
  if (word.ends_with("logi")) {
    if (measure(view.substr(0, word.size() - 3)) > 0) cut(word, 1);
    return;
  }
  apply_first(word, rules, 0);
}

void step_3(std::string& word) {
  static constexpr Rule rules[] = {
      {"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
      {"ical", "ic"},  {"ful", ""},   {"ness", ""},
  };
  apply_first(word, rules, 0);
}

void step_4(std::string& word) {
  static constexpr Rule rules[] = {
      {"al", ""},   {"ance", ""}, {"ence", ""},  {"er", ""},   {"ic", ""},  {"able", ""},
      {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""}, {"ent", ""}, {"ou", ""},
      {"ism", ""},  {"ate", ""},  {"iti", ""},   {"ous", ""},  {"ive", ""}, {"ize", ""},
  };
  static constexpr Rule ion[] = {{"ion", ""}};
  if (!word.ends_with("ion"))
    apply_first(word, rules, 1);
  else if (word.ends_with("sion") || word.ends_with("tion"))
    apply_first(word, ion, 1);
}

// A last e, and one l of two.
void step_5(std::string& word) {
  if (word.ends_with("e")) {
    Shape shape = shape_of(std::string_view(word).substr(0, word.size() - 1));
    if (shape.measure > 1 || (shape.measure == 1 && !shape.ends_short)) word.pop_back();
  }
  if (word.ends_with("ll") && measure(std::string_view(word).substr(0, word.size() - 1)) > 1) word.pop_back();
}

std::string_view irregular_stem(std::string_view word) {
  static constexpr std::pair<std::string_view, std::string_view> forms[] = {
      {"sky", "sky"},       {"skies", "sky"},       {"dying", "die"},       {"lying", "lie"},
      {"tying", "tie"},     {"news", "news"},       {"inning", "inning"},   {"innings", "inning"},
      {"outing", "outing"}, {"outings", "outing"},  {"canning", "canning"}, {"cannings", "canning"},
      {"howe", "howe"},     {"proceed", "proceed"}, {"exceed", "exceed"},   {"succeed", "succeed"},
  };
  for (const auto& [form, stem] : forms)
    if (form == word) return stem;
  return {};
}

}  // namespace

std::string porter_stem(std::string_view text) {
  std::string word(text);
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  if (std::string_view known = irregular_stem(word); !known.empty()) return std::string(known);
  if (word.size() <= 2) return word;
  step_1a(word);
  step_1b(word);
  step_1c(word);
  step_2(word);
  step_3(word);
  step_4(word);
  step_5(word);
  return word;
}

}  // namespace edgellm
