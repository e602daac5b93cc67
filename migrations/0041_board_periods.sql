-- Votes and boards count by the same four periods, so that one function says which they are.
alter function vote_periods(timestamptz) rename to board_periods;
