-- What it found, `bank_by_words` finds too.
drop index bank_search;
