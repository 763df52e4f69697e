-- What the views were made of, to make them anew where their text changed.
ALTER TABLE projection_views ADD COLUMN digest text NOT NULL DEFAULT '';
